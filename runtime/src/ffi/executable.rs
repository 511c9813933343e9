//! Executables: what the compiler made, and running it.

use std::any::Any;
use std::ffi::{c_char, c_int};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::abi::{ExecuteOptions, PjrtBuffer, PjrtEvent, PjrtExecutable, PjrtLoadedExecutable, Program};
use super::api::{Api, non_null};
use super::buffer::{RawBuffer, shape_from_raw};
use super::client::RawClient;
use super::device::RawDevice;
use super::event::RawEvent;
use super::functions::{
    Arguments, ExecutableDestroy, ExecutableFingerprint, ExecutableGetCompiledMemoryStats,
    ExecutableGetCostAnalysis, ExecutableName, ExecutableNumOutputs, ExecutableNumPartitions,
    ExecutableNumReplicas, ExecutableOptimizedProgram, ExecutableOutputDimensions,
    ExecutableOutputElementTypes, ExecutableOutputMemoryKinds, ExecutableSerialize,
    ExecutableSizeOfGeneratedCodeInBytes, LoadedExecutableAddressableDevices, LoadedExecutableDelete,
    LoadedExecutableDestroy, LoadedExecutableExecute, LoadedExecutableGetExecutable,
};
use super::{copy_slice, copy_string, named_value};
use crate::{Attributes, CompiledMemoryStats, Error, OptimizedProgram, Result, Shape};

/// A number that no other execution of this process has, and not 0, which stands for none.
///
/// The CPU plugin's collectives find their partners by this number and the devices' numbers, across all clients of
/// the process: two executions of the same number at a time exchange each other's data.
fn next_launch_id() -> c_int {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    count.rem_euclid(c_int::MAX) + 1
}

/// An owned `PJRT_Executable`: a compiled program, which need not be loaded anywhere.
pub(crate) struct RawExecutable {
    api: Api,
    executable: NonNull<PjrtExecutable>,
    /// The client or topology that it was made for.
    _origin: Arc<dyn Any + Send + Sync>,
}

// SAFETY: PJRT executables are thread-safe.
unsafe impl Send for RawExecutable {}
// SAFETY: as above.
unsafe impl Sync for RawExecutable {}

impl Drop for RawExecutable {
    fn drop(&mut self) {
        let mut args = ExecutableDestroy::new();
        args.executable = self.as_ptr();
        // SAFETY: owned and not used again. A failure to free leaves nothing to be done.
        let _ = unsafe { self.api.call(&mut args) };
    }
}

impl RawExecutable {
    /// # Safety
    /// `executable` is alive, nothing else owns it, and it needs nothing but `origin`.
    pub(super) unsafe fn new(
        api: &Api,
        executable: NonNull<PjrtExecutable>,
        origin: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { api: api.clone(), executable, _origin: origin }
    }

    fn as_ptr(&self) -> *mut PjrtExecutable {
        self.executable.as_ptr()
    }

    pub(crate) fn name(&self) -> Result<String> {
        let mut args = ExecutableName::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive and owns the string.
        unsafe {
            self.api.call(&mut args)?;
            Ok(copy_string(args.executable_name, args.executable_name_size))
        }
    }

    pub(crate) fn num_replicas(&self) -> Result<usize> {
        let mut args = ExecutableNumReplicas::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive.
        unsafe { self.api.call(&mut args)? };
        Ok(args.num_replicas)
    }

    pub(crate) fn num_partitions(&self) -> Result<usize> {
        let mut args = ExecutableNumPartitions::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive.
        unsafe { self.api.call(&mut args)? };
        Ok(args.num_partitions)
    }

    pub(crate) fn num_outputs(&self) -> Result<usize> {
        let mut args = ExecutableNumOutputs::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive.
        unsafe { self.api.call(&mut args)? };
        Ok(args.num_outputs)
    }

    pub(crate) fn generated_code_bytes(&self) -> Result<i64> {
        let mut args = ExecutableSizeOfGeneratedCodeInBytes::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive.
        unsafe { self.api.call(&mut args)? };
        Ok(args.size_in_bytes)
    }

    pub(crate) fn fingerprint(&self) -> Result<Vec<u8>> {
        let mut args = ExecutableFingerprint::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive and owns the bytes.
        unsafe {
            self.api.call(&mut args)?;
            Ok(copy_slice(args.executable_fingerprint.cast::<u8>(), args.executable_fingerprint_size))
        }
    }

    pub(crate) fn cost_analysis(&self) -> Result<Attributes> {
        let mut args = ExecutableGetCostAnalysis::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive and owns the properties.
        unsafe {
            self.api.call(&mut args)?;
            Ok(named_value::read_all(args.properties, args.num_properties))
        }
    }

    pub(crate) fn memory_stats(&self) -> Result<CompiledMemoryStats> {
        let mut args = ExecutableGetCompiledMemoryStats::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive.
        unsafe { self.api.call(&mut args)? };
        Ok(CompiledMemoryStats {
            generated_code_bytes: args.generated_code_size_in_bytes,
            argument_bytes: args.argument_size_in_bytes,
            output_bytes: args.output_size_in_bytes,
            alias_bytes: args.alias_size_in_bytes,
            temp_bytes: args.temp_size_in_bytes,
            host_generated_code_bytes: args.host_generated_code_size_in_bytes,
            host_argument_bytes: args.host_argument_size_in_bytes,
            host_output_bytes: args.host_output_size_in_bytes,
            host_alias_bytes: args.host_alias_size_in_bytes,
            host_temp_bytes: args.host_temp_size_in_bytes,
            peak_bytes: args.peak_memory_in_bytes,
        })
    }

    /// The shape of each output on one device.
    pub(crate) fn output_shapes(&self) -> Result<Vec<Shape>> {
        let mut types = ExecutableOutputElementTypes::new();
        let mut dims = ExecutableOutputDimensions::new();
        types.executable = self.as_ptr();
        dims.executable = self.as_ptr();
        // SAFETY: the executable is alive and owns the three arrays, of which `dims` has as many values as
        // the sum of `dim_sizes`.
        let (types, ranks, dims) = unsafe {
            self.api.call(&mut types)?;
            self.api.call(&mut dims)?;
            let ranks = copy_slice(dims.dim_sizes, dims.num_outputs);
            let dims = copy_slice(dims.dims, ranks.iter().sum());
            (copy_slice(types.output_types, types.num_output_types), ranks, dims)
        };
        let mismatch = || Error::Contract {
            function: ExecutableOutputDimensions::FUNCTION,
            message: format!("returned dimensions of {} outputs for {} types", ranks.len(), types.len()),
        };
        if types.len() != ranks.len() {
            return Err(mismatch());
        }
        let mut rest = dims.as_slice();
        types
            .iter()
            .zip(&ranks)
            .map(|(&code, &rank)| {
                let (dims, tail) = rest.split_at_checked(rank).ok_or_else(mismatch)?;
                rest = tail;
                shape_from_raw::<ExecutableOutputElementTypes>(code, dims)
            })
            .collect()
    }

    /// The kind of memory that each output lies in.
    pub(crate) fn output_memory_kinds(&self) -> Result<Vec<String>> {
        let mut args = ExecutableOutputMemoryKinds::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive and owns both arrays and the strings.
        unsafe {
            self.api.call(&mut args)?;
            let kinds = copy_slice(args.memory_kinds, args.num_outputs);
            let sizes = copy_slice(args.memory_kind_sizes, args.num_outputs);
            Ok(kinds.into_iter().zip(sizes).map(|(kind, size)| copy_string(kind, size)).collect())
        }
    }

    pub(crate) fn optimized_program(&self) -> Result<OptimizedProgram> {
        let mut program = Program::new();
        let mut args = ExecutableOptimizedProgram::new();
        args.executable = self.as_ptr();
        args.program = &mut program;
        // SAFETY: the executable is alive. With no code pointer, this call only sets sizes and the format,
        // which the plugin owns.
        let format = unsafe {
            self.api.call(&mut args)?;
            copy_string(program.format, program.format_size)
        };
        let mut code = vec![0u8; program.code_size];
        program.code = code.as_mut_ptr().cast::<c_char>();
        args.program = &mut program;
        // SAFETY: `code` has the size that the first call asked for.
        unsafe { self.api.call(&mut args)? };
        Ok(OptimizedProgram { format, code })
    }

    pub(crate) fn serialize(&self) -> Result<Vec<u8>> {
        let mut args = ExecutableSerialize::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive; the bytes live until the deleter is called, once.
        unsafe {
            self.api.call(&mut args)?;
            let bytes = copy_slice(args.serialized_bytes.cast::<u8>(), args.serialized_bytes_size);
            if let Some(delete) = args.serialized_executable_deleter {
                delete(args.serialized_executable);
            }
            Ok(bytes)
        }
    }
}

/// An owned `PJRT_LoadedExecutable`.
pub(crate) struct RawLoadedExecutable {
    client: Arc<RawClient>,
    executable: NonNull<PjrtLoadedExecutable>,
}

// SAFETY: loaded executables are thread-safe.
unsafe impl Send for RawLoadedExecutable {}
// SAFETY: as above.
unsafe impl Sync for RawLoadedExecutable {}

impl Drop for RawLoadedExecutable {
    fn drop(&mut self) {
        let mut args = LoadedExecutableDestroy::new();
        args.executable = self.as_ptr();
        // SAFETY: owned and not used again; executions in flight keep what they need. A failure to free
        // leaves nothing to be done.
        let _ = unsafe { self.api().call(&mut args) };
    }
}

/// What an execution returns at once: per device, the outputs and the event of its completion.
pub(crate) struct RawExecution {
    pub(crate) outputs: Vec<Vec<RawBuffer>>,
    pub(crate) done: Vec<RawEvent>,
}

impl RawLoadedExecutable {
    /// # Safety
    /// `executable` is a live executable of `client` that nothing else owns.
    pub(super) unsafe fn new(client: &Arc<RawClient>, executable: NonNull<PjrtLoadedExecutable>) -> Self {
        Self { client: client.clone(), executable }
    }

    fn as_ptr(&self) -> *mut PjrtLoadedExecutable {
        self.executable.as_ptr()
    }

    fn api(&self) -> &Api {
        self.client.api()
    }

    /// The compiled program, apart from its being loaded.
    pub(crate) fn executable(&self) -> Result<RawExecutable> {
        let mut args = LoadedExecutableGetExecutable::new();
        args.loaded_executable = self.as_ptr();
        // SAFETY: the executable is alive; the one returned is owned and outlives it, but not the client.
        unsafe {
            self.api().call(&mut args)?;
            let executable = non_null::<LoadedExecutableGetExecutable, _>(args.executable, "executable")?;
            Ok(RawExecutable::new(self.api(), executable, self.client.clone()))
        }
    }

    /// The devices of this process that it runs on, in the order of the argument lists.
    pub(crate) fn addressable_devices(&self) -> Result<Vec<RawDevice>> {
        let mut args = LoadedExecutableAddressableDevices::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive and owns the list; the devices are the client's.
        unsafe {
            self.api().call(&mut args)?;
            copy_slice(args.addressable_devices, args.num_addressable_devices)
                .into_iter()
                .map(|device| {
                    let device = non_null::<LoadedExecutableAddressableDevices, _>(device, "device")?;
                    Ok(RawDevice::new(&self.client, device))
                })
                .collect()
        }
    }

    pub(crate) fn delete(&self) -> Result<()> {
        let mut args = LoadedExecutableDelete::new();
        args.executable = self.as_ptr();
        // SAFETY: the executable is alive; a deleted one answers with errors until destroyed.
        unsafe { self.api().call(&mut args) }
    }

    /// Starts an execution. `arguments` has a list for each addressable device, all of one length;
    /// `num_outputs` is the program's. Inputs whose index is not in `non_donatable` may be consumed.
    pub(crate) fn execute(
        &self,
        arguments: &[Vec<&RawBuffer>],
        non_donatable: &[i64],
        num_outputs: usize,
    ) -> Result<RawExecution> {
        let num_devices = arguments.len();
        let num_args = arguments.first().map_or(0, Vec::len);
        let argument_pointers = arguments
            .iter()
            .map(|list| list.iter().map(|buffer| buffer.as_ptr()).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        let argument_lists = argument_pointers.iter().map(|list| list.as_ptr()).collect::<Vec<_>>();
        let mut output_pointers = vec![vec![null_mut::<PjrtBuffer>(); num_outputs]; num_devices];
        let output_lists = output_pointers.iter_mut().map(|list| list.as_mut_ptr()).collect::<Vec<_>>();
        let mut events = vec![null_mut::<PjrtEvent>(); num_devices];

        let mut options = ExecuteOptions::new();
        options.launch_id = next_launch_id();
        options.non_donatable_input_indices = non_donatable.as_ptr();
        options.num_non_donatable_input_indices = non_donatable.len();

        let mut args = LoadedExecutableExecute::new();
        args.executable = self.as_ptr();
        args.options = &mut options;
        args.argument_lists = argument_lists.as_ptr();
        args.num_devices = num_devices;
        args.num_args = num_args;
        args.output_lists = output_lists.as_ptr();
        args.device_complete_events = events.as_mut_ptr();
        // SAFETY: executable and buffers are alive and of one client; all lists outlive the call and have
        // the lengths that it expects. The plugin holds on to the buffers' memory for as long as it runs.
        unsafe { self.api().call(&mut args)? };

        // Everything non-null is owned from here on, so that it is freed even if something is missing.
        // SAFETY: the plugin filled both lists with objects that are ours.
        let (outputs, done) = unsafe {
            let outputs = output_pointers
                .into_iter()
                .map(|list| {
                    list.into_iter()
                        .filter_map(NonNull::new)
                        .map(|buffer| RawBuffer::new(&self.client, buffer))
                        .collect::<Vec<_>>()
                })
                .collect::<Vec<_>>();
            let done = events
                .into_iter()
                .filter_map(NonNull::new)
                .map(|event| RawEvent::new(&self.client, event, LoadedExecutableExecute::FUNCTION))
                .collect::<Vec<_>>();
            (outputs, done)
        };
        if done.len() != num_devices || outputs.iter().any(|list| list.len() != num_outputs) {
            return Err(Error::Contract {
                function: LoadedExecutableExecute::FUNCTION,
                message: "left out an output or a completion event".to_owned(),
            });
        }
        Ok(RawExecution { outputs, done })
    }
}
