//! The manifest of a bundle.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::job::TopologyOption;
use crate::engine::cache::Processor;
use crate::export::{
    AxisManifest, GeneratorManifest, ModelManifest, ParamManifest, RuleManifest, TargetManifest,
    ValueManifest, one_step,
};
pub use crate::export::{FileManifest, PluginManifest};

/// What a bundle's manifest says that it is; the number changes when a reader of the old one would err.
pub const FORMAT: &str = "lapidary-bundle/1";

/// What a bundle consists of. Where an export's manifest has a field, this has the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BundleManifest {
    /// [`FORMAT`].
    pub format: String,
    /// What wrote it.
    pub generator: GeneratorManifest,
    /// The model.
    pub model: ModelManifest,
    /// Element type of weights and activations.
    pub dtype: String,
    /// What the programs are for.
    pub target: TargetManifest,
    /// The devices as the plugin was asked for them; null where it compiles for devices that are here.
    pub topology: Option<TopologyManifest>,
    /// What compiled them. An executable is for this very plugin.
    pub plugin: PluginManifest,
    /// Kind of the devices, by the plugin's name; null in bundles of before it was recorded.
    #[serde(default)]
    pub device_kind: Option<String>,
    /// The processor that the CPU's code is for; null for other devices.
    #[serde(default)]
    pub processor: Option<Processor>,
    /// Number of devices.
    pub devices: usize,
    /// The mesh's axes, major to minor. Empty for one device.
    pub mesh: Vec<AxisManifest>,
    /// How logical axes are split over the mesh.
    pub rules: Vec<RuleManifest>,
    /// How all programs were compiled.
    pub compile_options: CompileOptionsManifest,
    /// The programs.
    pub programs: Vec<ProgramManifest>,
}

/// As much of a manifest as says whether the rest can be read.
#[derive(Deserialize)]
pub(super) struct Format {
    pub(super) format: String,
}

/// Devices as a plugin calls them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TopologyManifest {
    /// Name.
    pub name: String,
    /// Options.
    pub options: BTreeMap<String, TopologyOption>,
}

/// How a program was compiled. Beside this, the target's `compiler_flags` were set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CompileOptionsManifest {
    /// Instances of the program.
    pub num_replicas: usize,
    /// Devices that share one instance.
    pub num_partitions: usize,
    /// Ids of the devices, in the order of the mesh.
    pub device_assignment: Vec<i32>,
}

/// A program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProgramManifest {
    /// Its name, which is that of its folder in `programs`.
    pub name: String,
    /// `prefill`, `decode` or `score`.
    pub phase: String,
    /// Sequences.
    pub batch: usize,
    /// Tokens of each in one step.
    pub tokens: usize,
    /// Positions that each can hold.
    pub context: usize,
    /// Tokens that each goes forward in one dispatch at most: more than 1 only where decode is a loop.
    #[serde(default = "one_step")]
    pub steps_per_dispatch: NonZeroUsize,
    /// Its files.
    pub files: Vec<FileManifest>,
    /// What compiling it took.
    pub compile: CompileManifest,
    /// Memory that it needs on one device; null where the plugin does not say.
    pub memory: Option<MemoryManifest>,
    /// What the compiler estimates of one run, by the compiler's names, such as `flops` and `bytes accessed`. The
    /// body of a loop counts once. Null where the plugin does not say.
    pub cost: Option<BTreeMap<String, f64>>,
    /// The plugin's name for what it made, in hexadecimal; null where it has none.
    pub fingerprint: Option<String>,
    /// The parameters of `main`, in order.
    pub parameters: Vec<ParamManifest>,
    /// The results of `main`, in order.
    pub results: Vec<ValueManifest>,
}

/// What compiling took.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct CompileManifest {
    /// Time of the compiler, without starting the plugin.
    pub seconds: f64,
    /// Most memory that the compiling process had in use; null where the system does not say.
    pub peak_process_bytes: Option<u64>,
}

/// Memory that a program needs on one device, in bytes, as the compiler reports it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemoryManifest {
    /// Arguments: weights, KV cache and inputs.
    pub argument_bytes: i64,
    /// Results.
    pub output_bytes: i64,
    /// Arguments that results take over.
    pub alias_bytes: i64,
    /// Intermediate values.
    pub temp_bytes: i64,
    /// Code.
    pub generated_code_bytes: i64,
    /// The most in use at any time; 0 if the plugin does not say.
    pub peak_bytes: i64,
}

impl MemoryManifest {
    /// What one device needs to run the program: everything, but what results take over from arguments once.
    pub fn total_bytes(&self) -> u64 {
        let kinds = [self.argument_bytes, self.output_bytes, self.temp_bytes, self.generated_code_bytes];
        let all = kinds.into_iter().fold(0, i64::saturating_add);
        u64::try_from(all.saturating_sub(self.alias_bytes)).unwrap_or(0)
    }
}

impl ProgramManifest {
    /// The file of this name, such as [`EXECUTABLE_FILE`](super::EXECUTABLE_FILE).
    pub fn file(&self, name: &str) -> Option<&FileManifest> {
        self.files.iter().find(|file| file.file.rsplit('/').next() == Some(name))
    }
}
