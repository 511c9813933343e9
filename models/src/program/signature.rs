//! Signatures: what each parameter and result of a program is.
//!
//! Loading, binding, sharding and caching read the signature; nothing is matched up by position.

use lapidary_graph::{LogicalAxes, TensorType};

use crate::weights::WeightSpec;

/// The parameters and results of a program, in the order of its entry function.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Signature {
    /// Parameters.
    pub params: Vec<ParamSpec>,
    /// Results.
    pub results: Vec<ResultSpec>,
}

/// One parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamSpec {
    /// Name, unique among the parameters.
    pub name: String,
    /// What it is.
    pub role: ParamRole,
    /// Type.
    pub ty: TensorType,
    /// Logical axis of each dimension.
    pub axes: LogicalAxes,
    /// Result that takes over the buffer, where the parameter is donated.
    pub donated_to: Option<usize>,
}

/// What a parameter is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParamRole {
    /// A tensor of the checkpoint.
    Weight(WeightSpec),
    /// Something new in every step.
    Input(Input),
    /// A buffer that one step hands to the next.
    State {
        /// Decoder layer.
        layer: usize,
        /// Keys or values.
        kind: StateKind,
    },
}

/// What a step is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// Token ids, `[batch, tokens]` s32, padded at the end.
    Tokens,
    /// Position of each row's first token, `[batch]` s32: how many tokens its cache holds already.
    Start,
    /// Number of each row's real tokens, `[batch]` s32; the rest is padding and leaves no trace.
    Count,
    /// The token that ought to follow each token, `[batch, tokens]` s32.
    Targets,
}

/// Half of a layer's KV cache, `[batch, kv_heads, slots, head_dim]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum StateKind {
    /// Keys, after RoPE.
    Keys,
    /// Values.
    Values,
}

impl StateKind {
    /// Keys, then values.
    pub const ALL: [Self; 2] = [Self::Keys, Self::Values];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Values => "values",
        }
    }
}

/// One result.
#[derive(Clone, PartialEq, Debug)]
pub struct ResultSpec {
    /// Name, unique among the results.
    pub name: String,
    /// What it is.
    pub role: ResultRole,
    /// Type.
    pub ty: TensorType,
    /// Logical axis of each dimension.
    pub axes: LogicalAxes,
}

/// What a result is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultRole {
    /// An answer.
    Output(Output),
    /// The state of a layer after the step.
    State {
        /// Decoder layer.
        layer: usize,
        /// Keys or values.
        kind: StateKind,
    },
}

/// What a step answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Logits after the last real token, `[batch, vocab]` f32; of every token, `[batch, tokens, vocab]`, when
    /// scoring.
    Logits,
    /// Negative log-likelihood of each target, in nats, `[batch, tokens]` f32.
    Nll,
}

impl Signature {
    /// Position of a result.
    pub fn result_index(&self, role: ResultRole) -> Option<usize> {
        self.results.iter().position(|result| result.role == role)
    }
}
