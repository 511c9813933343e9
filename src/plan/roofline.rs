//! Bounds on the time of a step.

use lapidary_graph::DType;
use lapidary_models::program::ProgramShape;
use serde::Serialize;

use super::layout::Layout;
use super::{Work, activations};
use crate::target::Hardware;

/// A step and how long it takes at least.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PhasePlan {
    /// The program that a step runs.
    #[serde(skip)]
    pub shape: ProgramShape,
    /// `decode` or `prefill`.
    pub phase: &'static str,
    /// Sequences.
    pub batch: usize,
    /// Tokens of each in one step.
    pub tokens: usize,
    /// Positions that each can hold.
    pub context: usize,
    /// Bytes of its KV cache on each device.
    pub kv_cache_bytes: u64,
    /// Estimate of its temporaries on each device.
    pub activations_bytes: u64,
    /// What each device does.
    #[serde(flatten)]
    pub work: Work,
    /// Bytes that each device sends.
    pub interconnect_bytes: u64,
    /// How long that takes; `None` if the device's rates are not known.
    #[serde(flatten)]
    pub roofline: Option<Roofline>,
}

/// Times of a step, in seconds, as if nothing else took any.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Roofline {
    /// At the peak rate of matrix products.
    pub compute_s: f64,
    /// At the peak bandwidth of the memory.
    pub memory_s: f64,
    /// At the peak bandwidth of the interconnect.
    pub interconnect_s: f64,
    /// Which of them is longest.
    pub bound: Bound,
    /// The longest: no step is faster.
    pub step_s: f64,
    /// Tokens of all sequences a second, at most.
    pub tokens_per_s: f64,
}

/// What bounds a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Matrix products.
    Compute,
    /// Reading weights and KV cache.
    Memory,
    /// Collectives.
    Interconnect,
}

impl Bound {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Interconnect => "interconnect",
        }
    }
}

impl PhasePlan {
    /// The plan of a step of `shape`.
    pub(super) fn of(layout: &Layout<'_>, shape: &ProgramShape, hardware: Option<&Hardware>) -> Self {
        let work = Work::of(layout, shape);
        let tokens = shape.batch as f64 * shape.tokens as f64;
        Self {
            shape: *shape,
            kv_cache_bytes: layout.cache_bytes(shape),
            activations_bytes: activations::bytes(layout, shape),
            phase: shape.phase.name(),
            batch: shape.batch,
            tokens: shape.tokens,
            context: shape.capacity,
            interconnect_bytes: work.collectives.iter().map(|each| each.sent_bytes()).sum::<f64>() as u64,
            roofline: hardware.map(|hardware| Roofline::of(&work, hardware, shape.dtype, tokens)),
            work,
        }
    }
}

impl Roofline {
    /// The bounds of `work`, which makes or takes `tokens` tokens, on devices of this kind.
    fn of(work: &Work, hardware: &Hardware, dtype: DType, tokens: f64) -> Self {
        let rate = if dtype == DType::BF16 { hardware.bf16_flops } else { hardware.f32_flops };
        let compute_s = work.flops / rate;
        let memory_s = work.memory_bytes as f64 / hardware.memory_bandwidth;
        let collectives = work.collectives.iter();
        let interconnect_s = collectives
            .map(|each| each.sent_bytes() / hardware.interconnect.collective_bandwidth(each.devices))
            // Unlike `sum`, this is not -0 of nothing.
            .fold(0.0, |total, seconds| total + seconds);
        let longest =
            [(compute_s, Bound::Compute), (memory_s, Bound::Memory), (interconnect_s, Bound::Interconnect)];
        let (step_s, bound) = longest
            .into_iter()
            .fold((0.0, Bound::Compute), |max, each| if each.0 > max.0 { each } else { max });
        Self { compute_s, memory_s, interconnect_s, bound, step_s, tokens_per_s: tokens / step_s }
    }
}
