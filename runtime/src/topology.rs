//! Topologies: devices that need not be present, to compile for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::client_options::check_topology_options;
use crate::ffi::topology::RawTopology;
use crate::{Attributes, CompileOptions, DeviceDescription, Executable, Plugin, Program, Result};

/// Devices to compile for, none of which need be present.
///
/// Plugins end the process over some malformed names, options and programs: compile for untrusted input in a
/// process of its own.
pub struct Topology {
    raw: Arc<RawTopology>,
    devices: Vec<DeviceDescription>,
}

impl Topology {
    /// The topology that the plugin calls `name`, e.g. `v5p:2x2x1` for a TPU. `options` refine it, e.g.
    /// `chip_config_name` on TPU, `target_config` and `topology` on GPU.
    ///
    /// # Errors
    /// [`OptionType`](crate::Error::OptionType), and the plugin's error, which on CPU says that it has no
    /// topologies.
    pub fn create(plugin: &Plugin, name: &str, options: &Attributes) -> Result<Self> {
        check_topology_options(options)?;
        let raw = RawTopology::create(plugin.api(), name, options)?;
        let devices = raw.devices()?;
        Ok(Self { raw: Arc::new(raw), devices })
    }

    /// Name of the platform.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn platform_name(&self) -> Result<String> {
        self.raw.platform_name()
    }

    /// Version of the platform's software, in its own words.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn platform_version(&self) -> Result<String> {
        self.raw.platform_version()
    }

    /// The devices.
    pub fn devices(&self) -> &[DeviceDescription] {
        &self.devices
    }

    /// Attributes of the topology as a whole.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn attributes(&self) -> Result<Attributes> {
        self.raw.attributes()
    }

    /// Bytes that tell topologies apart, for cache keys.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        self.raw.serialize()
    }

    /// Compiles a program for these devices. A client on such devices loads the result once serialized.
    ///
    /// # Errors
    /// [`CompileOptions`](crate::Error::CompileOptions) for options that cannot be met, and the compiler's
    /// error.
    pub fn compile(&self, program: &Program<'_>, options: &CompileOptions) -> Result<Executable> {
        let ids = self.devices.iter().map(|device| device.id).collect::<BTreeSet<_>>();
        let options = options.serialize(&ids)?;
        Executable::new(self.raw.compile(program.format(), program.code(), &options)?)
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology").field("devices", &self.devices.len()).finish_non_exhaustive()
    }
}
