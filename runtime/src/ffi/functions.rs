//! The argument struct of every PJRT function that is called, bound to that function's name and slot.

use std::ffi::{c_char, c_int, c_void};

use super::abi::{
    BufferTypeCode, ExecuteOptions, MemoryLayout, NamedValue, PjrtBuffer, PjrtClient, PjrtDevice,
    PjrtDeviceDescription, PjrtError, PjrtEvent, PjrtExecutable, PjrtLoadedExecutable, PjrtMemory,
    PjrtSerializedExecutable, PjrtSerializedTopology, PjrtTopologyDescription, Program, sized_structs,
};
use super::slots::offset_of_slot;

/// An argument struct of one PJRT function.
///
/// # Safety
/// The slot named by `FUNCTION` takes a pointer to exactly this struct.
pub(super) unsafe trait Arguments {
    /// Name of the function, as in the C header.
    const FUNCTION: &'static str;
    /// Byte offset of the function's pointer in `PJRT_Api`.
    const SLOT_OFFSET: usize;
    /// The struct's size as PJRT counts it. Only the conformance test compares it; the structs carry it.
    #[cfg(test)]
    const SIZE: usize;
}

macro_rules! functions {
    ($($function:literal => $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            sized_structs! { $name { $($field: $type),* } }

            // SAFETY: the fields follow the C header's struct of the same function, in order.
            unsafe impl Arguments for $name {
                const FUNCTION: &'static str = $function;
                const SLOT_OFFSET: usize = offset_of_slot($function);
                #[cfg(test)]
                const SIZE: usize = Self::STRUCT_SIZE;
            }
        )*

        /// Name, slot offset and struct size of every bound function.
        #[cfg(test)]
        pub(super) const BOUND: &[(&str, usize, usize)] =
            &[$(($name::FUNCTION, $name::SLOT_OFFSET, $name::SIZE)),*];
    };
}

functions! {
    "PJRT_Error_Destroy" => ErrorDestroy { error: *mut PjrtError }
    "PJRT_Error_Message" => ErrorMessage {
        error: *const PjrtError,
        message: *const c_char,
        message_size: usize,
    }
    "PJRT_Error_GetCode" => ErrorGetCode { error: *const PjrtError, code: c_int }

    "PJRT_Plugin_Initialize" => PluginInitialize {}
    "PJRT_Plugin_Attributes" => PluginAttributes { attributes: *const NamedValue, num_attributes: usize }

    "PJRT_Event_Destroy" => EventDestroy { event: *mut PjrtEvent }
    "PJRT_Event_IsReady" => EventIsReady { event: *mut PjrtEvent, is_ready: bool }
    "PJRT_Event_Await" => EventAwait { event: *mut PjrtEvent }
    "PJRT_Event_OnReady" => EventOnReady {
        event: *mut PjrtEvent,
        callback: Option<unsafe extern "C" fn(error: *mut PjrtError, user_arg: *mut c_void)>,
        user_arg: *mut c_void,
    }

    "PJRT_Client_Create" => ClientCreate {
        create_options: *const NamedValue,
        num_options: usize,
        kv_get_callback: *mut c_void,
        kv_get_user_arg: *mut c_void,
        kv_put_callback: *mut c_void,
        kv_put_user_arg: *mut c_void,
        client: *mut PjrtClient,
        kv_try_get_callback: *mut c_void,
        kv_try_get_user_arg: *mut c_void,
    }
    "PJRT_Client_Destroy" => ClientDestroy { client: *mut PjrtClient }
    "PJRT_Client_PlatformName" => ClientPlatformName {
        client: *mut PjrtClient,
        platform_name: *const c_char,
        platform_name_size: usize,
    }
    "PJRT_Client_PlatformVersion" => ClientPlatformVersion {
        client: *mut PjrtClient,
        platform_version: *const c_char,
        platform_version_size: usize,
    }
    "PJRT_Client_ProcessIndex" => ClientProcessIndex { client: *mut PjrtClient, process_index: c_int }
    "PJRT_Client_Devices" => ClientDevices {
        client: *mut PjrtClient,
        devices: *const *mut PjrtDevice,
        num_devices: usize,
    }
    "PJRT_Client_Compile" => ClientCompile {
        client: *mut PjrtClient,
        program: *const Program,
        compile_options: *const c_char,
        compile_options_size: usize,
        executable: *mut PjrtLoadedExecutable,
    }
    "PJRT_Client_BufferFromHostBuffer" => ClientBufferFromHostBuffer {
        client: *mut PjrtClient,
        data: *const c_void,
        element_type: BufferTypeCode,
        dims: *const i64,
        num_dims: usize,
        byte_strides: *const i64,
        num_byte_strides: usize,
        host_buffer_semantics: c_int,
        device: *mut PjrtDevice,
        memory: *mut PjrtMemory,
        device_layout: *mut MemoryLayout,
        done_with_host_buffer: *mut PjrtEvent,
        buffer: *mut PjrtBuffer,
    }

    "PJRT_DeviceDescription_Id" => DeviceDescriptionId {
        device_description: *mut PjrtDeviceDescription,
        id: c_int,
    }
    "PJRT_DeviceDescription_ProcessIndex" => DeviceDescriptionProcessIndex {
        device_description: *mut PjrtDeviceDescription,
        process_index: c_int,
    }
    "PJRT_DeviceDescription_Attributes" => DeviceDescriptionAttributes {
        device_description: *mut PjrtDeviceDescription,
        num_attributes: usize,
        attributes: *const NamedValue,
    }
    "PJRT_DeviceDescription_Kind" => DeviceDescriptionKind {
        device_description: *mut PjrtDeviceDescription,
        device_kind: *const c_char,
        device_kind_size: usize,
    }
    "PJRT_DeviceDescription_DebugString" => DeviceDescriptionDebugString {
        device_description: *mut PjrtDeviceDescription,
        debug_string: *const c_char,
        debug_string_size: usize,
    }

    "PJRT_Device_GetDescription" => DeviceGetDescription {
        device: *mut PjrtDevice,
        device_description: *mut PjrtDeviceDescription,
    }
    "PJRT_Device_IsAddressable" => DeviceIsAddressable { device: *mut PjrtDevice, is_addressable: bool }
    "PJRT_Device_LocalHardwareId" => DeviceLocalHardwareId {
        device: *mut PjrtDevice,
        local_hardware_id: c_int,
    }
    "PJRT_Device_DefaultMemory" => DeviceDefaultMemory { device: *mut PjrtDevice, memory: *mut PjrtMemory }
    "PJRT_Device_AddressableMemories" => DeviceAddressableMemories {
        device: *mut PjrtDevice,
        memories: *const *mut PjrtMemory,
        num_memories: usize,
    }
    "PJRT_Device_MemoryStats" => DeviceMemoryStats {
        device: *mut PjrtDevice,
        bytes_in_use: i64,
        peak_bytes_in_use: i64,
        peak_bytes_in_use_is_set: bool,
        num_allocs: i64,
        num_allocs_is_set: bool,
        largest_alloc_size: i64,
        largest_alloc_size_is_set: bool,
        bytes_limit: i64,
        bytes_limit_is_set: bool,
        bytes_reserved: i64,
        bytes_reserved_is_set: bool,
        peak_bytes_reserved: i64,
        peak_bytes_reserved_is_set: bool,
        bytes_reservable_limit: i64,
        bytes_reservable_limit_is_set: bool,
        largest_free_block_bytes: i64,
        largest_free_block_bytes_is_set: bool,
        pool_bytes: i64,
        pool_bytes_is_set: bool,
        peak_pool_bytes: i64,
        peak_pool_bytes_is_set: bool,
    }

    "PJRT_Memory_Id" => MemoryId { memory: *mut PjrtMemory, id: c_int }
    "PJRT_Memory_Kind" => MemoryKind { memory: *mut PjrtMemory, kind: *const c_char, kind_size: usize }
    "PJRT_Memory_DebugString" => MemoryDebugString {
        memory: *mut PjrtMemory,
        debug_string: *const c_char,
        debug_string_size: usize,
    }

    "PJRT_Executable_Destroy" => ExecutableDestroy { executable: *mut PjrtExecutable }
    "PJRT_Executable_Name" => ExecutableName {
        executable: *mut PjrtExecutable,
        executable_name: *const c_char,
        executable_name_size: usize,
    }
    "PJRT_Executable_NumReplicas" => ExecutableNumReplicas {
        executable: *mut PjrtExecutable,
        num_replicas: usize,
    }
    "PJRT_Executable_NumPartitions" => ExecutableNumPartitions {
        executable: *mut PjrtExecutable,
        num_partitions: usize,
    }
    "PJRT_Executable_NumOutputs" => ExecutableNumOutputs {
        executable: *mut PjrtExecutable,
        num_outputs: usize,
    }
    "PJRT_Executable_SizeOfGeneratedCodeInBytes" => ExecutableSizeOfGeneratedCodeInBytes {
        executable: *mut PjrtExecutable,
        size_in_bytes: i64,
    }
    "PJRT_Executable_Fingerprint" => ExecutableFingerprint {
        executable: *mut PjrtExecutable,
        executable_fingerprint: *const c_char,
        executable_fingerprint_size: usize,
    }
    "PJRT_Executable_GetCostAnalysis" => ExecutableGetCostAnalysis {
        executable: *mut PjrtExecutable,
        num_properties: usize,
        properties: *const NamedValue,
    }
    "PJRT_Executable_GetCompiledMemoryStats" => ExecutableGetCompiledMemoryStats {
        executable: *mut PjrtExecutable,
        generated_code_size_in_bytes: i64,
        argument_size_in_bytes: i64,
        output_size_in_bytes: i64,
        alias_size_in_bytes: i64,
        temp_size_in_bytes: i64,
        host_generated_code_size_in_bytes: i64,
        host_argument_size_in_bytes: i64,
        host_output_size_in_bytes: i64,
        host_alias_size_in_bytes: i64,
        host_temp_size_in_bytes: i64,
        peak_memory_in_bytes: i64,
    }
    "PJRT_Executable_OutputElementTypes" => ExecutableOutputElementTypes {
        executable: *mut PjrtExecutable,
        output_types: *const BufferTypeCode,
        num_output_types: usize,
    }
    "PJRT_Executable_OutputDimensions" => ExecutableOutputDimensions {
        executable: *mut PjrtExecutable,
        num_outputs: usize,
        dims: *const i64,
        dim_sizes: *const usize,
    }
    "PJRT_Executable_OutputMemoryKinds" => ExecutableOutputMemoryKinds {
        executable: *mut PjrtExecutable,
        num_outputs: usize,
        memory_kinds: *const *const c_char,
        memory_kind_sizes: *const usize,
    }
    "PJRT_Executable_OptimizedProgram" => ExecutableOptimizedProgram {
        executable: *mut PjrtExecutable,
        program: *mut Program,
    }
    "PJRT_Executable_Serialize" => ExecutableSerialize {
        executable: *const PjrtExecutable,
        serialized_bytes: *const c_char,
        serialized_bytes_size: usize,
        serialized_executable: *mut PjrtSerializedExecutable,
        serialized_executable_deleter: Option<unsafe extern "C" fn(*mut PjrtSerializedExecutable)>,
    }
    "PJRT_Executable_DeserializeAndLoad" => ExecutableDeserializeAndLoad {
        client: *mut PjrtClient,
        serialized_executable: *const c_char,
        serialized_executable_size: usize,
        loaded_executable: *mut PjrtLoadedExecutable,
        overridden_serialized_compile_options: *const c_char,
        overridden_serialized_compile_options_size: usize,
    }

    "PJRT_LoadedExecutable_Destroy" => LoadedExecutableDestroy { executable: *mut PjrtLoadedExecutable }
    "PJRT_LoadedExecutable_GetExecutable" => LoadedExecutableGetExecutable {
        loaded_executable: *mut PjrtLoadedExecutable,
        executable: *mut PjrtExecutable,
    }
    "PJRT_LoadedExecutable_AddressableDevices" => LoadedExecutableAddressableDevices {
        executable: *mut PjrtLoadedExecutable,
        addressable_devices: *const *mut PjrtDevice,
        num_addressable_devices: usize,
    }
    "PJRT_LoadedExecutable_Delete" => LoadedExecutableDelete { executable: *mut PjrtLoadedExecutable }
    "PJRT_LoadedExecutable_Execute" => LoadedExecutableExecute {
        executable: *mut PjrtLoadedExecutable,
        options: *mut ExecuteOptions,
        argument_lists: *const *const *mut PjrtBuffer,
        num_devices: usize,
        num_args: usize,
        output_lists: *const *mut *mut PjrtBuffer,
        device_complete_events: *mut *mut PjrtEvent,
        execute_device: *mut PjrtDevice,
    }

    "PJRT_Buffer_Destroy" => BufferDestroy { buffer: *mut PjrtBuffer }
    "PJRT_Buffer_ElementType" => BufferElementType {
        buffer: *mut PjrtBuffer,
        element_type: BufferTypeCode,
    }
    "PJRT_Buffer_Dimensions" => BufferDimensions {
        buffer: *mut PjrtBuffer,
        dims: *const i64,
        num_dims: usize,
    }
    "PJRT_Buffer_OnDeviceSizeInBytes" => BufferOnDeviceSizeInBytes {
        buffer: *mut PjrtBuffer,
        on_device_size_in_bytes: usize,
    }
    "PJRT_Buffer_Device" => BufferDevice { buffer: *mut PjrtBuffer, device: *mut PjrtDevice }
    "PJRT_Buffer_Memory" => BufferMemory { buffer: *mut PjrtBuffer, memory: *mut PjrtMemory }
    "PJRT_Buffer_Delete" => BufferDelete { buffer: *mut PjrtBuffer }
    "PJRT_Buffer_IsDeleted" => BufferIsDeleted { buffer: *mut PjrtBuffer, is_deleted: bool }
    "PJRT_Buffer_CopyToDevice" => BufferCopyToDevice {
        buffer: *mut PjrtBuffer,
        dst_device: *mut PjrtDevice,
        dst_buffer: *mut PjrtBuffer,
    }
    "PJRT_Buffer_ToHostBuffer" => BufferToHostBuffer {
        src: *mut PjrtBuffer,
        host_layout: *mut MemoryLayout,
        dst: *mut c_void,
        dst_size: usize,
        event: *mut PjrtEvent,
    }
    "PJRT_Buffer_ReadyEvent" => BufferReadyEvent { buffer: *mut PjrtBuffer, event: *mut PjrtEvent }
    "PJRT_Buffer_UnsafePointer" => BufferUnsafePointer { buffer: *mut PjrtBuffer, buffer_pointer: usize }

    "PJRT_TopologyDescription_Create" => TopologyDescriptionCreate {
        topology_name: *const c_char,
        topology_name_size: usize,
        create_options: *const NamedValue,
        num_options: usize,
        topology: *mut PjrtTopologyDescription,
    }
    "PJRT_TopologyDescription_Destroy" => TopologyDescriptionDestroy {
        topology: *mut PjrtTopologyDescription,
    }
    "PJRT_TopologyDescription_PlatformName" => TopologyDescriptionPlatformName {
        topology: *const PjrtTopologyDescription,
        platform_name: *const c_char,
        platform_name_size: usize,
    }
    "PJRT_TopologyDescription_PlatformVersion" => TopologyDescriptionPlatformVersion {
        topology: *mut PjrtTopologyDescription,
        platform_version: *const c_char,
        platform_version_size: usize,
    }
    "PJRT_TopologyDescription_GetDeviceDescriptions" => TopologyDescriptionGetDeviceDescriptions {
        topology: *const PjrtTopologyDescription,
        descriptions: *const *mut PjrtDeviceDescription,
        num_descriptions: usize,
    }
    "PJRT_TopologyDescription_Serialize" => TopologyDescriptionSerialize {
        topology: *mut PjrtTopologyDescription,
        serialized_bytes: *const c_char,
        serialized_bytes_size: usize,
        serialized_topology: *mut PjrtSerializedTopology,
        serialized_topology_deleter: Option<unsafe extern "C" fn(*mut PjrtSerializedTopology)>,
    }
    "PJRT_TopologyDescription_Attributes" => TopologyDescriptionAttributes {
        topology: *mut PjrtTopologyDescription,
        attributes: *const NamedValue,
        num_attributes: usize,
    }

    "PJRT_Compile" => Compile {
        topology: *const PjrtTopologyDescription,
        program: *const Program,
        compile_options: *const c_char,
        compile_options_size: usize,
        client: *mut PjrtClient,
        executable: *mut PjrtExecutable,
    }
}
