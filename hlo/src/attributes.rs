//! What an instruction says besides its operands.

use serde::Serialize;

use crate::module::{ComputationId, InstructionId};
use crate::replica_groups::ReplicaGroups;

/// Attributes of an instruction, as many as costs depend on.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Attributes {
    /// Where the operation comes from.
    pub metadata: Metadata,
    /// Number of a parameter.
    pub parameter: Option<usize>,
    /// Index of a `get-tuple-element`.
    pub tuple_index: Option<usize>,
    /// Value of a constant that is an integer scalar.
    pub integer: Option<i64>,
    /// Direction of a comparison: `LT`, `GE`, ...
    pub direction: Option<String>,
    /// Kind of a fusion: `kLoop`, `kOutput`, `kCustom`, ...
    pub fusion_kind: Option<String>,
    /// What a custom call calls.
    pub custom_call_target: Option<String>,
    /// Contracting and batch dimensions of a dot.
    pub dot: Option<DotDimensions>,
    /// Dimensions and window of a convolution.
    pub convolution: Option<Convolution>,
    /// Devices of a collective, and whom each sends to.
    pub collective: CollectiveAttributes,
    /// Output parts of a fusion or custom call that are the memory of an operand.
    pub output_aliases: Vec<OutputAlias>,
    /// Index of a copy that the runtime may have done before the program started.
    pub cross_program_prefetch: Option<i64>,
    /// What the backend says about it.
    pub backend: BackendConfig,
    /// Instructions that must run before, though no data comes from them.
    pub control_predecessors: Vec<InstructionId>,
}

/// Computations that an instruction runs or applies to elements.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Called {
    /// It runs none.
    None,
    /// The computation of a fusion, or of an asynchronous call.
    Calls(ComputationId),
    /// A function that a call runs, or that a reduction, sort or scatter applies to elements.
    ToApply(ComputationId),
    /// Condition and body of a loop.
    While {
        /// Says whether to go on.
        condition: ComputationId,
        /// Runs while the condition holds.
        body: ComputationId,
    },
    /// The branches of a conditional, one of which runs.
    Branches(Vec<ComputationId>),
}

/// Where an operation comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Metadata {
    /// Scope and operation of the program that was compiled: `layers.0.mlp.up_proj/dot_general`; of a parameter
    /// its name.
    pub op_name: String,
    /// File of the program's source.
    pub source_file: String,
    /// Line in the file; 0 if unknown.
    pub source_line: i64,
}

/// Dimension numbers of a dot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct DotDimensions {
    /// Dimensions of the left operand that are summed over.
    pub lhs_contracting: Vec<usize>,
}

/// A convolution: dimension numbers and window.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Convolution {
    /// Spatial dimensions of the input.
    pub input_spatial: Vec<usize>,
    /// Input feature dimension of the kernel, whose size is that of the features of one group.
    pub kernel_input_feature: usize,
    /// Spatial dimensions of the kernel.
    pub kernel_spatial: Vec<usize>,
    /// Spatial dimensions of the output.
    pub output_spatial: Vec<usize>,
    /// The window, one entry for each spatial dimension.
    pub window: Vec<WindowDimension>,
}

/// How a window moves along one dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are XLA's")]
pub struct WindowDimension {
    pub size: u64,
    pub stride: u64,
    pub padding_low: i64,
    pub window_dilation: u64,
    pub base_dilation: u64,
}

impl WindowDimension {
    /// A window of one place that moves by one.
    pub(crate) fn plain() -> Self {
        Self { size: 1, stride: 1, padding_low: 0, window_dilation: 1, base_dilation: 1 }
    }
}

/// Attributes of a collective.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CollectiveAttributes {
    /// Number of the channel; 0 if there is none.
    pub channel: i64,
    /// Who takes part.
    pub groups: ReplicaGroups,
    /// Of a permutation: who sends to whom.
    pub source_target_pairs: Vec<(u64, u64)>,
}

/// Part of the output that is the memory of an operand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OutputAlias {
    /// Path into the output's tuple; empty for the output itself.
    pub output: Vec<usize>,
    /// Number of the operand.
    pub operand: usize,
}

/// What the backend says about an instruction, where it says it as JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BackendConfig {
    /// How often a loop's body runs.
    pub trip_count: Option<u64>,
    /// The compiler's own estimate, in cycles of the core.
    pub estimated_cycles: Option<u64>,
}

impl BackendConfig {
    /// Reads `known_trip_count` and `estimated_cycles`. Other configs, and texts that are no JSON, say nothing.
    pub(crate) fn from_json(text: &str) -> Self {
        let Ok(config) = serde_json::from_str::<serde_json::Value>(text) else { return Self::default() };
        // 64-bit integers are strings in the JSON form of protocol buffers.
        let integer = |path: &str| {
            let value = config.pointer(path)?;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        Self {
            trip_count: integer("/known_trip_count/n"),
            estimated_cycles: integer("/window_config/estimated_cycles"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_configs() {
        let config = BackendConfig::from_json(r#"{"known_trip_count":{"n":"46"}}"#);
        assert_eq!(config, BackendConfig { trip_count: Some(46), estimated_cycles: None });
        let config = BackendConfig::from_json(r#"{"window_config":{"estimated_cycles":"2125"},"x":[]}"#);
        assert_eq!(config, BackendConfig { trip_count: None, estimated_cycles: Some(2125) });
        assert_eq!(BackendConfig::from_json("no JSON"), BackendConfig::default());
    }
}
