//! An estimate of how long a step takes, from the roofline of the scheduled program.

use serde::Serialize;

use crate::report::InstructionCost;

/// What one device can do at best.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Roofline {
    /// Operations of its matrix units a second, in the type that the program multiplies in.
    pub flops_per_second: f64,
    /// Bytes a second to and from HBM.
    pub hbm_bytes_per_second: f64,
    /// Bytes a second that it can send to other devices, over all links.
    pub link_bytes_per_second: f64,
}

impl Roofline {
    /// Seconds that all runs of an instruction take at least: `[compute, HBM traffic, communication]`. The longest
    /// of them is its part of an estimate.
    pub fn seconds(&self, cost: &InstructionCost) -> [f64; 3] {
        let times = cost.times as f64;
        [
            times * cost.flops.dot as f64 / self.flops_per_second,
            times * cost.traffic.bytes() as f64 / self.hbm_bytes_per_second,
            times * cost.sent_bytes as f64 / self.link_bytes_per_second,
        ]
    }
}

/// Estimated duration of one run. An estimate and no measurement: every instruction is as fast as the hardware can
/// be, and latencies, vector arithmetic and contention are left out.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct StepEstimate {
    /// The estimate: instructions one after another, each as long as the slowest of its compute, HBM traffic and
    /// communication. In seconds, as are the others.
    pub seconds: f64,
    /// Time of the matrix units alone.
    pub compute_seconds: f64,
    /// Time of the HBM traffic alone.
    pub hbm_seconds: f64,
    /// Time of the communication alone.
    pub link_seconds: f64,
    /// Lower bound: the largest of the three, as if all overlapped perfectly.
    pub lower_bound_seconds: f64,
}

impl StepEstimate {
    /// The estimate for a program of these instructions.
    pub(crate) fn of(roofline: &Roofline, instructions: &[InstructionCost]) -> Self {
        let mut sum = Self::default();
        for cost in instructions {
            let [compute, hbm, link] = roofline.seconds(cost);
            sum.compute_seconds += compute;
            sum.hbm_seconds += hbm;
            sum.link_seconds += link;
            sum.seconds += compute.max(hbm).max(link);
        }
        sum.lower_bound_seconds = sum.compute_seconds.max(sum.hbm_seconds).max(sum.link_seconds);
        sum
    }
}
