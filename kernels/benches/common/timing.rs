//! How long a call takes, and how long it should.

use std::time::{Duration, Instant};

use super::limits::Limits;

/// How long one kernel on one shape is tried.
const PATIENCE: Duration = Duration::from_millis(150);

/// Calls that are made whatever they take.
const CALLS: usize = 3;

/// Seconds of the fastest of some calls, each with the next of `copies` of what is read from memory.
pub fn best_of(copies: usize, mut call: impl FnMut(usize)) -> f64 {
    let (began, mut best) = (Instant::now(), f64::INFINITY);
    for index in 0.. {
        if index >= CALLS && began.elapsed() >= PATIENCE {
            break;
        }
        let started = Instant::now();
        call(index % copies);
        best = best.min(started.elapsed().as_secs_f64());
    }
    best
}

/// What a call has to do.
pub struct Work {
    /// Bytes from memory.
    pub bytes: usize,
    /// Multiplications and additions.
    pub operations: usize,
}

impl Work {
    /// What part of the limit that holds it up first a call reaches; a line about it goes to standard output.
    pub fn ratio(&self, limits: &mut Limits, name: &str, seconds: f64) -> f64 {
        let bandwidth = limits.bandwidth();
        let (memory, arithmetic) = (self.bytes as f64 / bandwidth, self.operations as f64 / limits.peak);
        let (limit, unit) = if memory > arithmetic { (memory, "memory") } else { (arithmetic, "products") };
        let ratio = limit / seconds;
        println!(
            "{name:46} {:9.3} ms {:6.1} GB/s {:7.0} GFLOP/s = {ratio:.2} of {unit}",
            seconds * 1e3,
            self.bytes as f64 / seconds / 1e9,
            self.operations as f64 / seconds / 1e9,
        );
        ratio
    }
}
