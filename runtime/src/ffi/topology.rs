//! Topologies: devices that need not be present, to compile for.

use std::ffi::c_char;
use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::PjrtTopologyDescription;
use super::api::{Api, non_null};
use super::client::CProgram;
use super::device::describe;
use super::executable::RawExecutable;
use super::functions::{
    Compile, TopologyDescriptionAttributes, TopologyDescriptionCreate, TopologyDescriptionDestroy,
    TopologyDescriptionGetDeviceDescriptions, TopologyDescriptionPlatformName,
    TopologyDescriptionPlatformVersion, TopologyDescriptionSerialize,
};
use super::named_value::NamedValues;
use super::{copy_slice, copy_string, custom_call, named_value};
use crate::{Attributes, DeviceDescription, Result};

/// An owned `PJRT_TopologyDescription`.
pub(crate) struct RawTopology {
    api: Api,
    topology: NonNull<PjrtTopologyDescription>,
}

// SAFETY: topologies are immutable.
unsafe impl Send for RawTopology {}
// SAFETY: as above.
unsafe impl Sync for RawTopology {}

impl Drop for RawTopology {
    fn drop(&mut self) {
        let mut args = TopologyDescriptionDestroy::new();
        args.topology = self.topology.as_ptr();
        // SAFETY: owned and not used again. A failure to free leaves nothing to be done.
        let _ = unsafe { self.api.call(&mut args) };
    }
}

impl RawTopology {
    pub(crate) fn create(api: &Api, name: &str, options: &Attributes) -> Result<Self> {
        let options = NamedValues::new(options)?;
        let mut args = TopologyDescriptionCreate::new();
        args.topology_name = name.as_ptr().cast::<c_char>();
        args.topology_name_size = name.len();
        args.create_options = options.as_slice().as_ptr();
        args.num_options = options.as_slice().len();
        // SAFETY: name and options outlive the call; the topology returned is owned.
        unsafe { api.call(&mut args)? };
        let topology = non_null::<TopologyDescriptionCreate, _>(args.topology, "topology")?;
        Ok(Self { api: api.clone(), topology })
    }

    pub(crate) fn platform_name(&self) -> Result<String> {
        let mut args = TopologyDescriptionPlatformName::new();
        args.topology = self.topology.as_ptr();
        // SAFETY: the topology is alive and owns the string.
        unsafe {
            self.api.call(&mut args)?;
            Ok(copy_string(args.platform_name, args.platform_name_size))
        }
    }

    pub(crate) fn platform_version(&self) -> Result<String> {
        let mut args = TopologyDescriptionPlatformVersion::new();
        args.topology = self.topology.as_ptr();
        // SAFETY: the topology is alive and owns the string.
        unsafe {
            self.api.call(&mut args)?;
            Ok(copy_string(args.platform_version, args.platform_version_size))
        }
    }

    pub(crate) fn attributes(&self) -> Result<Attributes> {
        let mut args = TopologyDescriptionAttributes::new();
        args.topology = self.topology.as_ptr();
        // SAFETY: the topology is alive and owns the attributes.
        unsafe {
            self.api.call(&mut args)?;
            Ok(named_value::read_all(args.attributes, args.num_attributes))
        }
    }

    pub(crate) fn devices(&self) -> Result<Vec<DeviceDescription>> {
        let mut args = TopologyDescriptionGetDeviceDescriptions::new();
        args.topology = self.topology.as_ptr();
        // SAFETY: the topology is alive and owns the list and the descriptions.
        unsafe {
            self.api.call(&mut args)?;
            copy_slice(args.descriptions, args.num_descriptions)
                .into_iter()
                .map(|description| {
                    let description =
                        non_null::<TopologyDescriptionGetDeviceDescriptions, _>(description, "description")?;
                    describe(&self.api, description)
                })
                .collect()
        }
    }

    pub(crate) fn serialize(&self) -> Result<Vec<u8>> {
        let mut args = TopologyDescriptionSerialize::new();
        args.topology = self.topology.as_ptr();
        // SAFETY: the topology is alive; the bytes live until the deleter is called, once.
        unsafe {
            self.api.call(&mut args)?;
            let bytes = copy_slice(args.serialized_bytes.cast::<u8>(), args.serialized_bytes_size);
            if let Some(delete) = args.serialized_topology_deleter {
                delete(args.serialized_topology);
            }
            Ok(bytes)
        }
    }

    /// Compiles for these devices; see [`super::client::RawClient::compile`].
    pub(crate) fn compile(
        self: &Arc<Self>,
        format: &str,
        code: &[u8],
        options: &[u8],
    ) -> Result<RawExecutable> {
        let program = CProgram::new(format, code);
        let mut args = Compile::new();
        args.topology = self.topology.as_ptr();
        args.program = program.as_ptr();
        args.compile_options = options.as_ptr().cast::<c_char>();
        args.compile_options_size = options.len();
        let _lookups = custom_call::lookups();
        // SAFETY: topology, program and options outlive the call; the executable returned is owned.
        unsafe {
            self.api.call(&mut args)?;
            let executable = non_null::<Compile, _>(args.executable, "executable")?;
            Ok(RawExecutable::new(&self.api, executable, self.clone()))
        }
    }
}
