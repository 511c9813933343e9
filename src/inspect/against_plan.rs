//! A plan beside what a compiler made of its programs.

use serde::{Serialize, Serializer};

use super::Inspection;
use crate::plan::{PhasePlan, Plan};

/// A program as it was planned and as it was compiled, on one device.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlannedProgram {
    /// `decode` or `prefill`.
    pub phase: &'static str,
    /// Its figures, in the order of [`Quantity::ALL`]; those that nobody knows are left out.
    pub figures: Vec<Figure>,
}

/// A figure of a program.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// Of what.
    pub quantity: Quantity,
    /// What the plan says, in bytes, operations or seconds.
    pub planned: f64,
    /// What was compiled, in the same unit.
    pub compiled: f64,
    /// `compiled` over `planned`.
    pub ratio: f64,
    /// How far from 1 that may be.
    pub tolerance: f64,
    /// Whether it is no farther.
    pub holds: bool,
}

/// What is planned and compiled, on one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// Bytes of the weights.
    Weights,
    /// Bytes of the program's KV cache.
    KvCache,
    /// Bytes of what is neither, the program's code not included: temporaries, results and inputs.
    Temporaries,
    /// Bytes of all memory that the program needs, code included.
    Peak,
    /// Operations of matrix products in a step.
    Flops,
    /// Bytes to and from HBM in a step.
    HbmTraffic,
    /// Bytes sent to other devices in a step.
    SentBytes,
    /// Seconds of a step: the plan's lower bound, and the estimate on the compiled program's schedule.
    StepTime,
}

/// The unit of a quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Floating point operations.
    Flops,
    /// Seconds.
    Seconds,
}

impl Quantity {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Weights,
        Self::KvCache,
        Self::Temporaries,
        Self::Peak,
        Self::Flops,
        Self::HbmTraffic,
        Self::SentBytes,
        Self::StepTime,
    ];

    /// Name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::KvCache => "KV cache",
            Self::Temporaries => "temporaries",
            Self::Peak => "peak memory",
            Self::Flops => "matrix products",
            Self::HbmTraffic => "HBM traffic",
            Self::SentBytes => "sent",
            Self::StepTime => "step time",
        }
    }

    /// Name for machines.
    const fn key(self) -> &'static str {
        match self {
            Self::Weights => "weights_bytes",
            Self::KvCache => "kv_cache_bytes",
            Self::Temporaries => "temporaries_bytes",
            Self::Peak => "peak_bytes",
            Self::Flops => "matrix_flops",
            Self::HbmTraffic => "hbm_bytes",
            Self::SentBytes => "sent_bytes",
            Self::StepTime => "step_s",
        }
    }

    /// What it is counted in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Weights | Self::KvCache | Self::Temporaries | Self::Peak => Unit::Bytes,
            Self::HbmTraffic | Self::SentBytes => Unit::Bytes,
            Self::Flops => Unit::Flops,
            Self::StepTime => Unit::Seconds,
        }
    }

    /// How far from 1 the ratio of compiled and planned may be.
    ///
    /// What is counted is to be met: weights and KV cache but for the padding of layouts, the rest to within what a
    /// good program adds to its bound. Temporaries are an estimate of how a compiler fuses and tiles, and the time
    /// is a bound on the one side and a sum over instructions on the other.
    pub const fn tolerance(self) -> f64 {
        match self {
            Self::Weights | Self::KvCache => 0.01,
            Self::Peak | Self::Flops | Self::SentBytes => 0.02,
            Self::HbmTraffic => 0.05,
            Self::StepTime => 0.10,
            Self::Temporaries => 0.50,
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

impl PlannedProgram {
    /// A phase of a plan beside what became of its program.
    pub fn new(plan: &Plan, phase: &PhasePlan, compiled: &Inspection) -> Self {
        let figures = Quantity::ALL.into_iter().filter_map(|quantity| {
            let planned = planned(quantity, plan, phase)?;
            Some(Figure::new(quantity, planned, self::compiled(quantity, compiled)?))
        });
        Self { phase: phase.phase, figures: figures.collect() }
    }
}

impl Figure {
    fn new(quantity: Quantity, planned: f64, compiled: f64) -> Self {
        let tolerance = quantity.tolerance();
        // Nothing planned and nothing there is as planned.
        let ratio = if planned == compiled { 1.0 } else { compiled / planned };
        Self { quantity, planned, compiled, ratio, tolerance, holds: (ratio - 1.0).abs() <= tolerance }
    }
}

fn planned(quantity: Quantity, plan: &Plan, phase: &PhasePlan) -> Option<f64> {
    let weights = plan.memory.weights_bytes;
    let bytes = |parts: &[u64]| Some(parts.iter().fold(0, |sum: u64, &part| sum.saturating_add(part)) as f64);
    match quantity {
        Quantity::Weights => bytes(&[weights]),
        Quantity::KvCache => bytes(&[phase.kv_cache_bytes]),
        Quantity::Temporaries => bytes(&[phase.activations_bytes]),
        Quantity::Peak => bytes(&[weights, phase.kv_cache_bytes, phase.activations_bytes]),
        Quantity::Flops => Some(phase.work.flops),
        Quantity::HbmTraffic => bytes(&[phase.work.memory_bytes]),
        Quantity::SentBytes => bytes(&[phase.interconnect_bytes]),
        Quantity::StepTime => Some(phase.roofline?.step_s),
    }
}

fn compiled(quantity: Quantity, program: &Inspection) -> Option<f64> {
    let memory = &program.memory;
    let besides = [memory.inputs_bytes, memory.results_bytes, memory.temporaries_bytes];
    Some(match quantity {
        Quantity::Weights => memory.weights_bytes as f64,
        Quantity::KvCache => memory.kv_cache_bytes as f64,
        Quantity::Temporaries => besides.into_iter().fold(0, u64::saturating_add) as f64,
        Quantity::Peak => memory.total_bytes as f64,
        Quantity::Flops => program.flops.matrix as f64,
        Quantity::HbmTraffic => program.traffic.bytes as f64,
        Quantity::SentBytes => program.sent_bytes as f64,
        Quantity::StepTime => program.estimate?.seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_holds_within_its_tolerance() {
        let figure = |planned, compiled| Figure::new(Quantity::HbmTraffic, planned, compiled);
        assert!(figure(100.0, 104.9).holds && figure(100.0, 95.1).holds);
        assert!(!figure(100.0, 105.1).holds && !figure(100.0, 94.9).holds);
        assert_eq!(figure(100.0, 110.0).ratio, 1.1);
    }

    #[test]
    fn nothing_is_as_planned_where_nothing_is_planned() {
        assert!(Figure::new(Quantity::SentBytes, 0.0, 0.0).holds);
        assert!(!Figure::new(Quantity::SentBytes, 0.0, 1.0).holds);
    }
}
