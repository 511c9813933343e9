//! The manifest of an export.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use lapidary_graph::{LogicalAxes, TensorType};
use lapidary_lower::sharding::DimSharding;
use lapidary_lower::{EntryShardings, Sharding};
use lapidary_models::config::GemmaConfig;
use lapidary_models::encoding::Encodings;
use lapidary_models::program::{
    Input, Output, ParamRole, ParamSpec, Program, ResultRole, ResultSpec, StateKind,
};
use lapidary_runtime::CompilerFlag;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ExportRequest, sha256};

/// Name of the manifest's file.
pub const MANIFEST: &str = "manifest.json";

/// What a manifest says that it is; the number changes when a reader of the old one would err.
pub const FORMAT: &str = "lapidary-export/1";

/// What an export consists of.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// What wrote it.
    pub generator: GeneratorManifest,
    /// SHA-256 of the programs: of the lines `SHA-256  file`, as sha256sum prints them, in the order of
    /// `programs`.
    pub sha256: String,
    /// The model.
    pub model: ModelManifest,
    /// Element type of activations and of weights that are not encoded.
    pub dtype: String,
    /// What the programs are for.
    pub target: TargetManifest,
    /// Number of devices.
    pub devices: usize,
    /// The mesh's axes, major to minor; device `i` of the mesh is at the row-major coordinates of `i`. Empty for
    /// one device.
    pub mesh: Vec<AxisManifest>,
    /// How logical axes are split over the mesh.
    pub rules: Vec<RuleManifest>,
    /// What made the programs' HLO; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<PluginManifest>,
    /// The programs.
    pub programs: Vec<ProgramManifest>,
}

/// The plugin of a compiler.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PluginManifest {
    /// `cpu`, `tpu` or `cuda`.
    pub kind: String,
    /// Version of its package; null where none is recorded beside the library.
    pub version: Option<String>,
    /// SHA-256 of the library.
    pub sha256: String,
    /// Version of the PJRT API that it implements.
    pub api_version: String,
    /// The platform, by its own name.
    pub platform: String,
    /// The platform's version, in its own words.
    pub platform_version: String,
    /// What else it says of itself.
    pub attributes: BTreeMap<String, Value>,
}

/// A file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileManifest {
    /// Its path beside the manifest, with `/` between the parts.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// What wrote an export.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GeneratorManifest {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A model.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelManifest {
    /// What it was called.
    pub name: String,
    /// Its `config.json`, without how the weights are stored: that is what the programs' parameters are.
    pub config: Value,
}

/// What programs are for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TargetManifest {
    /// The target; null for any.
    pub spec: Option<String>,
    /// The table that the programs were lowered with.
    pub table: String,
    /// XLA flags that the programs are to be compiled with on that platform.
    pub compiler_flags: BTreeMap<String, CompilerFlag>,
}

/// An axis of a mesh.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AxisManifest {
    /// Its name.
    pub name: String,
    /// Devices along it.
    pub size: usize,
}

/// How a logical axis is split.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RuleManifest {
    /// The logical axis.
    pub logical: String,
    /// Mesh axes that it is split over, major to minor.
    pub mesh_axes: Vec<String>,
    /// Whether its units are never cut nor padded.
    pub whole_units: bool,
}

/// A program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProgramManifest {
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
    /// The program's file.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// Its SHA-256.
    pub sha256: String,
    /// The program as HLO; absent if it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hlo: Option<HloManifest>,
    /// The parameters of `main`, in order.
    pub parameters: Vec<ParamManifest>,
    /// The results of `main`, in order.
    pub results: Vec<ValueManifest>,
}

/// A program as HLO: what the compiler makes of the StableHLO before it optimizes anything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HloManifest {
    /// An `HloModuleProto`.
    pub proto: FileManifest,
    /// The same as the compiler prints it.
    pub text: FileManifest,
}

/// A parameter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ParamManifest {
    /// What it has in common with results.
    #[serde(flatten)]
    pub value: ValueManifest,
    /// The result that takes over the buffer; null if the caller keeps it.
    pub donated_to: Option<usize>,
}

/// A parameter or result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ValueManifest {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: RoleManifest,
    /// Element type.
    pub dtype: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// The logical axis of each dimension.
    pub axes: Vec<Option<String>>,
    /// What each dimension is split over, major to minor.
    pub sharding: Vec<Vec<SplitManifest>>,
    /// Dimensions of each device's buffer, padding included.
    pub shard_shape: Vec<usize>,
}

/// What a parameter or result is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RoleManifest {
    /// A tensor of the checkpoint.
    Weight {
        /// Its name there.
        tensor: String,
    },
    /// Something new in every step.
    Input {
        /// `tokens`, `start`, `count` or `targets`.
        input: String,
    },
    /// What a step answers.
    Output {
        /// `logits` or `nll`.
        output: String,
    },
    /// A buffer that one step hands to the next.
    State {
        /// Decoder layer.
        layer: usize,
        /// `keys` or `values`; of a KV cache in few bits also `key_scales` or `value_scales`.
        half: String,
    },
}

/// A mesh axis that a dimension is split over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SplitManifest {
    /// The mesh axis.
    pub axis: String,
    /// Shards; fewer than the axis has devices if neighbouring ones hold copies.
    pub shards: usize,
}

impl Manifest {
    pub(super) fn new(request: &ExportRequest<'_>, programs: Vec<ProgramManifest>) -> Self {
        let lines: String =
            programs.iter().map(|program| format!("{}  {}\n", program.sha256, program.file)).collect();
        let table = request.lowering();
        let flags = table.compiler_flags.iter();
        let flags = flags.map(|(name, value)| (name.to_string(), CompilerFlag::Bool(*value)));
        let asked = request.compiler_flags.iter();
        let asked = asked.map(|(name, value)| (name.clone(), CompilerFlag::of_text(value)));
        let axes = request.mesh.axes().iter().filter(|_| request.mesh.num_devices() > 1);
        Self {
            format: FORMAT.to_string(),
            generator: GeneratorManifest {
                name: env!("CARGO_PKG_NAME").to_string(),
                version: env!("CARGO_PKG_VERSION").to_string(),
            },
            sha256: sha256(lines.as_bytes()),
            model: ModelManifest {
                name: request.model.to_string(),
                // What was just written as JSON can be read.
                config: serde_json::from_str(&sizes(request.config).to_json()).unwrap_or_default(),
            },
            dtype: request.dtype.to_string(),
            target: TargetManifest {
                spec: request.target.map(ToString::to_string),
                table: table.name.to_string(),
                compiler_flags: flags.chain(asked).collect(),
            },
            devices: request.mesh.num_devices(),
            mesh: axes.map(|(name, size)| AxisManifest { name: name.clone(), size: *size }).collect(),
            rules: request
                .rules
                .iter()
                .map(|(logical, mesh_axes)| RuleManifest {
                    logical: logical.to_string(),
                    mesh_axes: mesh_axes.to_vec(),
                    whole_units: request.rules.keeps_units_whole(logical),
                })
                .collect(),
            importer: None,
            programs,
        }
    }
}

/// A config without how its weights are stored, which the parameters tell, and more exactly than a `config.json` can.
fn sizes(config: &GemmaConfig) -> GemmaConfig {
    GemmaConfig { encodings: Encodings::default(), ..config.clone() }
}

/// What manifests mean that were written before there were programs of several steps.
pub(crate) const fn one_step() -> NonZeroUsize {
    NonZeroUsize::MIN
}

impl ProgramManifest {
    pub(super) fn new(program: &Program, shardings: &EntryShardings, file: String, text: &str) -> Self {
        let params = program.signature.params.iter().zip(&shardings.params);
        let results = program.signature.results.iter().zip(&shardings.results);
        Self {
            phase: program.shape.phase.name().to_string(),
            batch: program.shape.batch,
            tokens: program.shape.tokens,
            context: program.shape.capacity,
            steps_per_dispatch: NonZeroUsize::new(program.shape.phase.steps()).unwrap_or(NonZeroUsize::MIN),
            file,
            bytes: text.len(),
            sha256: sha256(text.as_bytes()),
            hlo: None,
            parameters: params.map(|(param, sharding)| ParamManifest::new(param, sharding)).collect(),
            results: results.map(|(result, sharding)| ValueManifest::of_result(result, sharding)).collect(),
        }
    }
}

impl ParamManifest {
    fn new(param: &ParamSpec, sharding: &Sharding) -> Self {
        let role = match &param.role {
            ParamRole::Weight(tensor) => RoleManifest::Weight { tensor: tensor.name.clone() },
            ParamRole::Input(input) => RoleManifest::Input { input: input_name(*input).to_string() },
            ParamRole::State { layer, kind } => state(*layer, *kind),
        };
        let value = ValueManifest::new(&param.name, role, &param.ty, &param.axes, sharding);
        Self { value, donated_to: param.donated_to }
    }
}

impl ValueManifest {
    fn of_result(result: &ResultSpec, sharding: &Sharding) -> Self {
        let role = match result.role {
            ResultRole::Output(output) => RoleManifest::Output { output: output_name(output).to_string() },
            ResultRole::State { layer, kind } => state(layer, kind),
        };
        Self::new(&result.name, role, &result.ty, &result.axes, sharding)
    }

    fn new(name: &str, role: RoleManifest, ty: &TensorType, axes: &LogicalAxes, sharding: &Sharding) -> Self {
        let splits = |dim: &DimSharding| {
            let splits = dim.splits.iter();
            splits.map(|split| SplitManifest { axis: split.axis.clone(), shards: split.shards }).collect()
        };
        Self {
            name: name.to_string(),
            role,
            dtype: ty.dtype.to_string(),
            shape: ty.dims.clone(),
            axes: axes.0.clone(),
            sharding: sharding.dims().iter().map(splits).collect(),
            shard_shape: sharding.shard_shape(),
        }
    }
}

fn state(layer: usize, kind: StateKind) -> RoleManifest {
    RoleManifest::State { layer, half: kind.name().to_string() }
}

pub(crate) fn input_name(input: Input) -> &'static str {
    input.name()
}

pub(crate) fn output_name(output: Output) -> &'static str {
    output.name()
}
