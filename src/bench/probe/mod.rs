//! What the devices can do, measured: how fast they read memory, and how fast they multiply matrices.

mod cache;
mod host_read;
mod matrix;
mod program;

use std::thread;

use lapidary_graph::DType;
use serde::Serialize;

use super::memory::available_memory;
use super::{BenchError, Statistics};
use crate::engine::Placement;
use program::ProbeProgram;

/// Times that each limit is measured by one [`Probes::run`]. What counts is the best.
const REPETITIONS: usize = 5;

/// Least bytes of the buffer that is read, so that pages and threads are nothing beside it.
const MIN_READ_BYTES: usize = 1 << 30;

/// The buffer that is read has at least this many times the bytes of the largest cache.
const TIMES_LARGEST_CACHE: usize = 8;

/// Measured limits of the devices of a placement, all of them together.
#[derive(Debug)]
pub struct Probes {
    threads: usize,
    read_bandwidth: Vec<f64>,
    matrix_peak: Vec<f64>,
}

/// A limit, measured several times.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Peak {
    /// The most that was reached: what others are compared with.
    pub best: f64,
    /// The mean; far below the best, something else was using the machine.
    pub mean: f64,
    /// How many times.
    pub repetitions: usize,
}

/// What the devices can do.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Peaks {
    /// Bytes a second read from memory.
    pub read_bandwidth: Peak,
    /// Operations a second of a large matrix product, in the element type of the model: on a CPU the compiler's or that of the
    /// kernels, whichever is faster.
    pub matrix_peak: Peak,
}

impl Probes {
    /// No measurements yet.
    pub fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { threads, read_bandwidth: Vec::new(), matrix_peak: Vec::new() }
    }

    /// Threads that read the memory of a CPU: as many as this process may use processors.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Measures both limits a few times more. What it allocates is free again on return.
    ///
    /// # Errors
    /// If there is no room for what is read, or the plugin fails on the programs.
    pub fn run(&mut self, placement: &Placement, dtype: DType) -> Result<(), BenchError> {
        if placement.client().platform_name() == "cpu" {
            // Virtual devices share the memory and the cores.
            self.read_bandwidth.extend(host_read::bandwidths(read_bytes(), self.threads, REPETITIONS)?);
            let [own, kernels] = matrix::on_cpu(placement, dtype)?;
            let (own, kernels) = (rates(&own, 1)?, rates(&kernels, 1)?);
            let best = |rates: &[f64]| Peak::of(rates).map(|peak| peak.best);
            self.matrix_peak.extend(if best(&kernels) > best(&own) { kernels } else { own });
        } else {
            let devices = placement.devices().len();
            let reading = program::read(placement, accelerator_read_bytes(placement))?;
            self.read_bandwidth.extend(rates(&reading, devices)?);
            drop(reading);
            let matrix = matrix::on_accelerator(placement, dtype)?;
            self.matrix_peak.extend(rates(&matrix, devices)?);
        }
        Ok(())
    }

    /// The limits; `None` before the first run.
    pub fn peaks(&self) -> Option<Peaks> {
        Some(Peaks {
            read_bandwidth: Peak::of(&self.read_bandwidth)?,
            matrix_peak: Peak::of(&self.matrix_peak)?,
        })
    }
}

impl Default for Probes {
    fn default() -> Self {
        Self::new()
    }
}

impl Peak {
    /// The peak of `samples`; `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let Statistics { mean, .. } = Statistics::of(samples)?;
        let best = samples.iter().copied().fold(f64::MIN, f64::max);
        Some(Self { best, mean, repetitions: samples.len() })
    }
}

/// What `devices` devices do a second, if each does as the one that runs the program, which is run once before it is
/// timed.
fn rates(program: &ProbeProgram, devices: usize) -> Result<Vec<f64>, BenchError> {
    program.run()?;
    (0..REPETITIONS).map(|_| Ok(program.work() * devices as f64 / program.run()?.max(1e-9))).collect()
}

/// Bytes to read from the memory of a device: so many that starting the program is nothing beside it, which at 4 TB/s
/// takes a millisecond, but no more than a quarter of what is free.
fn accelerator_read_bytes(placement: &Placement) -> usize {
    const WANTED: usize = 4 << 30;
    const LEAST: usize = 1 << 28;
    let stats =
        placement.addressable_devices().next().and_then(|device| device.memory_stats().ok().flatten());
    let free = stats.and_then(|stats| usize::try_from(stats.bytes_limit? - stats.bytes_in_use).ok());
    free.map_or(MIN_READ_BYTES, |free| (free / 4).clamp(LEAST, WANTED))
}

/// Bytes to read: far more than the caches hold, but no more than a quarter of the memory there is.
fn read_bytes() -> usize {
    let wanted = cache::largest().saturating_mul(TIMES_LARGEST_CACHE).max(MIN_READ_BYTES);
    let available = available_memory().and_then(|bytes| usize::try_from(bytes / 4).ok());
    available.map_or(wanted, |available| wanted.min(available))
}
