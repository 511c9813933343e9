//! A plugin's compiler, and the devices that it compiles for.

use std::ops::Deref;

use lapidary_lower::Mesh;
use lapidary_lower::sharding::{DeviceOrderError, DevicePosition, device_order};
use lapidary_runtime::{
    self as runtime, Client, ClientOptions, CompileOptions, DeviceDescription, Executable, LoadedExecutable,
    Plugin, Program, Topology, Value,
};
use serde_json::json;

use super::job::{Devices, Job, PluginFacts};
use super::work::{WorkError, if_supported};
use crate::device_position::device_position;

/// A compiler for some devices.
pub(super) struct Compiler {
    plugin: Plugin,
    target: Target,
    /// Ids of the devices in the order of the mesh.
    pub(super) device_assignment: Vec<i32>,
}

enum Target {
    /// Devices of this machine.
    Present(Client),
    /// Devices that need not be here.
    Absent(Topology),
}

/// What a compiler has made.
pub(super) enum CompiledProgram {
    /// On devices of this machine.
    Loaded(LoadedExecutable),
    /// For devices that need not be here.
    Unloaded(Executable),
}

impl Deref for CompiledProgram {
    type Target = Executable;

    fn deref(&self) -> &Executable {
        match self {
            Self::Loaded(executable) => executable,
            Self::Unloaded(executable) => executable,
        }
    }
}

impl Compiler {
    /// Loads the plugin of a job, and lays the mesh over its devices.
    pub(super) fn load(job: &Job) -> Result<Self, WorkError> {
        let mesh = Mesh::new(job.mesh.iter().cloned())?;
        let plugin = Plugin::load(&job.plugin)?;
        let (target, device_assignment) = match &job.devices {
            Devices::Cpu(count) => {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                let client = Client::create(&plugin, &ClientOptions::new().cpu_device_count(count))?;
                let devices = client.devices().iter().map(|device| device.description());
                let ids = order(&mesh, devices, &[])?;
                (Target::Present(client), ids)
            }
            Devices::Topology(topology) => {
                let options = topology.options.iter();
                let options = options.map(|(name, value)| (name.clone(), Value::from(value))).collect();
                let topology = Topology::create(&plugin, &topology.name, &options)?;
                let ids = order(&mesh, topology.devices(), &wraps(&topology)?)?;
                (Target::Absent(topology), ids)
            }
        };
        Ok(Self { plugin, target, device_assignment })
    }

    /// Compiles a program.
    pub(super) fn compile(
        &self,
        program: &Program<'_>,
        options: &CompileOptions,
    ) -> runtime::Result<CompiledProgram> {
        match &self.target {
            Target::Present(client) => client.compile(program, options).map(CompiledProgram::Loaded),
            Target::Absent(topology) => topology.compile(program, options).map(CompiledProgram::Unloaded),
        }
    }

    /// What the plugin calls the devices.
    pub(super) fn device_kind(&self) -> Option<String> {
        let devices: Vec<&DeviceDescription> = match &self.target {
            Target::Present(client) => client.devices().iter().map(|device| device.description()).collect(),
            Target::Absent(topology) => topology.devices().iter().collect(),
        };
        devices.first().map(|device| device.kind.clone())
    }

    /// What the plugin says of itself.
    pub(super) fn facts(&self) -> runtime::Result<PluginFacts> {
        let (platform, platform_version) = match &self.target {
            Target::Present(client) => {
                (client.platform_name().to_owned(), client.platform_version().to_owned())
            }
            Target::Absent(topology) => (topology.platform_name()?, topology.platform_version()?),
        };
        let attributes = self.plugin.attributes().iter();
        Ok(PluginFacts {
            api_version: self.plugin.api_version().to_string(),
            platform,
            platform_version,
            attributes: attributes.map(|(name, value)| (name.clone(), json!(value))).collect(),
        })
    }
}

/// Ids of the devices in the order of the mesh.
fn order<'d>(
    mesh: &Mesh,
    devices: impl IntoIterator<Item = &'d DeviceDescription>,
    wraps: &[bool],
) -> Result<Vec<i32>, DeviceOrderError> {
    let positions: Vec<DevicePosition> = devices.into_iter().map(device_position).collect();
    device_order(mesh, &positions, wraps)
}

/// Along which coordinates the last chip is linked to the first; empty where the plugin does not say.
fn wraps(topology: &Topology) -> runtime::Result<Vec<bool>> {
    let attributes = if_supported(topology.attributes())?.unwrap_or_default();
    Ok(match attributes.get("wrap") {
        Some(Value::Ints(wraps)) => wraps.iter().map(|&wrap| wrap == 1).collect(),
        _ => Vec::new(),
    })
}
