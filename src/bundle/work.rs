//! The process that compiles one program.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lapidary_lower::Mesh;
use lapidary_lower::sharding::{DeviceOrderError, DevicePosition, MeshError, device_order};
use lapidary_runtime::{
    self as runtime, Attributes, Client, ClientOptions, CompileOptions, CompilerFlag, DeviceDescription,
    Executable, Plugin, Program, Topology, Value,
};
use serde_json::json;

use super::digest::hexadecimal;
use super::error::Reported;
use super::job::{Compiled, DUMP, Devices, Job, Outcome, read, write};
use super::manifest::MemoryManifest;
use super::memory::peak_bytes;
use super::optimized::{dumped_text, hlo_module};
use super::{EXECUTABLE_FILE, OPTIMIZED_FILE, OPTIMIZED_TEXT_FILE, PROGRAM_FILE};
use crate::device_position::device_position;

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error(transparent)]
    Devices(#[from] DeviceOrderError),
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Something that every plugin that can serialize executables gives.
    #[error("the plugin does not say what its compiler made of the program: it gives {0}")]
    NoOptimizedProgram(String),
}

/// Does the job that a file describes. How it went is written where the job says, for the process that wants it.
///
/// # Errors
/// If the job cannot be read, or how it went cannot be written.
pub fn work(job: &Path) -> io::Result<()> {
    let job: Job = read(job)?;
    let outcome = match job.run() {
        Ok(compiled) => Outcome::Compiled(Box::new(compiled)),
        Err(error) => Outcome::Failed(Reported::of(&error as &dyn Error)),
    };
    write(&job.outcome, &outcome)
}

impl Job {
    fn run(&self) -> Result<Compiled, WorkError> {
        let text = using(&self.folder.join(PROGRAM_FILE), |path| fs::read_to_string(path))?;
        let program = Program::stablehlo(&text);
        let mesh = Mesh::new(self.mesh.iter().cloned())?;
        let plugin = Plugin::load(&self.plugin)?;
        match &self.devices {
            Devices::Cpu(count) => {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                let client = Client::create(&plugin, &ClientOptions::new().cpu_device_count(count))?;
                let devices = client.devices().iter().map(|device| device.description());
                let ids = order(&mesh, devices, &[])?;
                let started = Instant::now();
                let executable = client.compile(&program, &self.options(ids.clone()))?;
                let seconds = started.elapsed().as_secs_f64();
                let platform = [client.platform_name().to_owned(), client.platform_version().to_owned()];
                self.finish(&plugin, platform, &executable, ids, seconds)
            }
            Devices::Topology(topology) => {
                let options = topology.options.iter();
                let options = options.map(|(name, value)| (name.clone(), Value::from(value))).collect();
                let topology = Topology::create(&plugin, &topology.name, &options)?;
                let ids = order(&mesh, topology.devices(), &wraps(&topology)?)?;
                let started = Instant::now();
                let executable = topology.compile(&program, &self.options(ids.clone()))?;
                let seconds = started.elapsed().as_secs_f64();
                let platform = [topology.platform_name()?, topology.platform_version()?];
                self.finish(&plugin, platform, &executable, ids, seconds)
            }
        }
    }

    fn options(&self, ids: Vec<i32>) -> CompileOptions {
        let options = CompileOptions::new().device_assignment(vec![ids]);
        let flags = self.flags.iter();
        flags
            .fold(options, |options, (name, value)| options.flag(name, CompilerFlag::Bool(*value)))
            .flag("xla_dump_to", CompilerFlag::String(DUMP.to_string()))
            .flag("xla_dump_hlo_as_text", CompilerFlag::Bool(true))
    }

    /// Writes what the compiler has made, and says what it says of it.
    fn finish(
        &self,
        plugin: &Plugin,
        [platform, platform_version]: [String; 2],
        executable: &Executable,
        device_assignment: Vec<i32>,
        seconds: f64,
    ) -> Result<Compiled, WorkError> {
        let put =
            |name: &str, content: &[u8]| using(&self.folder.join(name), |path| fs::write(path, content));
        put(EXECUTABLE_FILE, &executable.serialize()?)?;
        let optimized = executable.optimized_program()?;
        let format = optimized.format.clone();
        put(OPTIMIZED_FILE, &hlo_module(optimized).ok_or(WorkError::NoOptimizedProgram(format))?)?;
        if let Some(text) = dumped_text(&self.scratch.join(DUMP)) {
            using(&text, |text| fs::copy(text, self.folder.join(OPTIMIZED_TEXT_FILE)))?;
        }
        let attributes = plugin.attributes().iter().map(|(name, value)| (name.clone(), json!(value)));
        Ok(Compiled {
            api_version: plugin.api_version().to_string(),
            platform,
            platform_version,
            attributes: attributes.collect(),
            device_assignment,
            seconds,
            memory: if_supported(executable.memory_stats())?.map(MemoryManifest::from),
            cost: if_supported(executable.cost_analysis())?.map(numbers),
            fingerprint: if_supported(executable.fingerprint())?.map(|bytes| hexadecimal(&bytes)),
            peak_process_bytes: peak_bytes(std::process::id()),
        })
    }
}

fn using<T>(path: &Path, operation: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, WorkError> {
    operation(path).map_err(|source| WorkError::File { path: path.to_owned(), source })
}

/// What a plugin says; `None` if it has no such function.
fn if_supported<T>(answer: runtime::Result<T>) -> runtime::Result<Option<T>> {
    match answer {
        Err(error) if error.is_unsupported() => Ok(None),
        answer => answer.map(Some),
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

fn numbers(attributes: Attributes) -> BTreeMap<String, f64> {
    let number = |value| match value {
        Value::Float(number) => Some(f64::from(number)),
        Value::Int(number) => Some(number as f64),
        Value::String(_) | Value::Ints(_) | Value::Bool(_) => None,
    };
    attributes.into_iter().filter_map(|(name, value)| Some((name, number(value)?))).collect()
}

impl From<runtime::CompiledMemoryStats> for MemoryManifest {
    fn from(stats: runtime::CompiledMemoryStats) -> Self {
        Self {
            argument_bytes: stats.argument_bytes,
            output_bytes: stats.output_bytes,
            alias_bytes: stats.alias_bytes,
            temp_bytes: stats.temp_bytes,
            generated_code_bytes: stats.generated_code_bytes,
            peak_bytes: stats.peak_bytes,
        }
    }
}
