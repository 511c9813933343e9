//! Signatures: what each parameter and result of a program is.
//!
//! Loading, binding, sharding and caching read the signature; nothing is matched up by position.

use lapidary_graph::{LogicalAxes, TensorType};

use crate::encoding::WeightTensor;

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
    Weight(WeightTensor),
    /// Something new in every step.
    Input(Input),
    /// A buffer that one step hands to the next.
    State {
        /// Decoder layer.
        layer: usize,
        /// What of it.
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
    /// `[batch]` f32: logits are divided by it; 0 takes the likeliest token.
    Temperature,
    /// `[batch]` s32: how many of the likeliest tokens are candidates; 0 for all.
    TopK,
    /// `[batch]` f32: share of the probability that candidates have; 1 for all.
    TopP,
    /// `[batch]` f32: how likely candidates are at least, as a share of the likeliest one's probability.
    MinP,
    /// `[batch, 2]` u32, low word first: what the row's noise is made of, with a token's position and id.
    Seed,
    /// `[batch]` f32: what logits of seen tokens are divided by if positive, and multiplied by if not.
    RepetitionPenalty,
    /// `[batch, capacity]` s32: the token at each position, those of this step included.
    History,
    /// `[batch]` s32: how many tokens a dispatch chooses for the row at most.
    Remaining,
    /// `[batch]` pred: whether a token that ends the sequence ends the row.
    StopAtEos,
}

impl Input {
    /// Every input.
    pub const ALL: [Self; 13] = [
        Self::Tokens,
        Self::Start,
        Self::Count,
        Self::Targets,
        Self::Temperature,
        Self::TopK,
        Self::TopP,
        Self::MinP,
        Self::Seed,
        Self::RepetitionPenalty,
        Self::History,
        Self::Remaining,
        Self::StopAtEos,
    ];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Start => "start",
            Self::Count => "count",
            Self::Targets => "targets",
            Self::Temperature => "temperature",
            Self::TopK => "top_k",
            Self::TopP => "top_p",
            Self::MinP => "min_p",
            Self::Seed => "seed",
            Self::RepetitionPenalty => "repetition_penalty",
            Self::History => "history",
            Self::Remaining => "remaining",
            Self::StopAtEos => "stop_at_eos",
        }
    }
}

/// What a layer has of the KV cache: keys and values `[batch, kv_heads, slots, head_dim]` and, where these are codes, their
/// scales `[batch, kv_heads, slots]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum StateKind {
    /// Keys, after RoPE.
    Keys,
    /// Values.
    Values,
    /// Scales of the keys.
    KeyScales,
    /// Scales of the values.
    ValueScales,
}

impl StateKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Keys, Self::Values, Self::KeyScales, Self::ValueScales];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Values => "values",
            Self::KeyScales => "key_scales",
            Self::ValueScales => "value_scales",
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
        /// What of it.
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
    /// The tokens chosen, `[batch, steps]` s32; each row's first [`Counts`](Self::Counts) are, the rest is -1.
    Tokens,
    /// How many tokens were chosen for each row, `[batch]` s32.
    Counts,
    /// Log-probability of each token chosen, in nats, by the model's own distribution: before penalty, temperature and
    /// filters. `[batch, steps]` f32. After a row's last token stands the logit that [`NonFinite`](Self::NonFinite) tells
    /// of.
    Logprobs,
    /// The likeliest tokens at each position, likeliest first, `[batch, steps, n]` s32.
    TopTokens,
    /// Their log-probabilities, `[batch, steps, n]` f32.
    TopLogprobs,
    /// The first token whose logit was NaN or positive infinity, `[batch]` s32, or `i32::MAX` if there was none. It ends
    /// the row: there is no choice after its tokens.
    NonFinite,
}

impl Output {
    /// Every output.
    pub const ALL: [Self; 8] = [
        Self::Logits,
        Self::Nll,
        Self::Tokens,
        Self::Counts,
        Self::Logprobs,
        Self::TopTokens,
        Self::TopLogprobs,
        Self::NonFinite,
    ];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Nll => "nll",
            Self::Tokens => "tokens",
            Self::Counts => "counts",
            Self::Logprobs => "logprobs",
            Self::TopTokens => "top_tokens",
            Self::TopLogprobs => "top_logprobs",
            Self::NonFinite => "non_finite",
        }
    }
}

impl Signature {
    /// Position of a result.
    pub fn result_index(&self, role: ResultRole) -> Option<usize> {
        self.results.iter().position(|result| result.role == role)
    }
}
