//! What the process that wants a bundle and the one that compiles say to each other, as JSON files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lapidary_runtime::{CompilerFlag, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::error::Reported;
use super::manifest::{MemoryManifest, TopologyManifest};

/// Folder that the compiler dumps into.
pub(super) const DUMP: &str = "lapidary-dump";

/// One program to compile.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The plugin's library.
    pub(super) plugin: PathBuf,
    /// Devices to compile for.
    pub(super) devices: Devices,
    /// Axes of the mesh.
    pub(super) mesh: Vec<(String, usize)>,
    /// Compiler flags.
    pub(super) flags: BTreeMap<String, CompilerFlag>,
    /// What to make.
    pub(super) product: Product,
    /// Folder with the program, for what becomes of it.
    pub(super) folder: PathBuf,
    /// Folder for what is not to be kept. The compiling process runs in it, and the compiler dumps into [`DUMP`] in
    /// it: executables remember the path that it was given, and are not to tell where they were made.
    pub(super) scratch: PathBuf,
    /// Where to say how it went.
    pub(super) outcome: PathBuf,
}

/// What is wanted of a compiler.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Product {
    /// The executable, and the optimized program.
    Executable,
    /// The program before it is optimized, which the compiler dumps.
    ImportedHlo {
        /// Where to say what the plugin is ([`PluginFacts`]), before it compiles: who wants only the dump ends the
        /// process as soon as it is there.
        plugin: PathBuf,
    },
}

/// Devices to compile for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Devices {
    /// So many devices that this machine's processors act as.
    Cpu(usize),
    /// Devices that need not be here.
    Topology(TopologyManifest),
}

/// An option of a topology.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TopologyOption {
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
}

impl From<&TopologyOption> for Value {
    fn from(option: &TopologyOption) -> Self {
        match option {
            TopologyOption::Int(value) => Self::Int(*value),
            TopologyOption::Text(value) => Self::String(value.clone()),
        }
    }
}

/// How a job went.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Outcome<T> {
    /// What there is to say: of an executable [`Compiled`], of imported HLO nothing.
    Done(T),
    Failed(Reported),
}

/// What a plugin says of itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct PluginFacts {
    pub(super) api_version: String,
    pub(super) platform: String,
    pub(super) platform_version: String,
    pub(super) attributes: BTreeMap<String, Json>,
}

/// What is known of a program once it is compiled.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Compiled {
    /// Kind of the devices.
    pub(super) device_kind: Option<String>,
    pub(super) plugin: PluginFacts,
    pub(super) device_assignment: Vec<i32>,
    pub(super) seconds: f64,
    pub(super) peak_process_bytes: Option<u64>,
    pub(super) memory: Option<MemoryManifest>,
    pub(super) cost: Option<BTreeMap<String, f64>>,
    pub(super) fingerprint: Option<String>,
}

/// Reads a message.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> std::io::Result<T> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// Writes a message.
pub(super) fn write(path: &Path, message: &impl Serialize) -> std::io::Result<()> {
    std::fs::write(path, serde_json::to_vec(message)?)
}
