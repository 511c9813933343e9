//! How fast a model runs through the engine, beside how fast its devices could be.
//!
//! Tests are those of llama.cpp's `llama-bench`: a prompt that is read (`pp`), tokens that are generated (`tg`), at
//! depths and batch sizes, each repeated. What a device could do is not looked up but [measured](Probes) in the same
//! run, so that a figure and its limit share the machine, its clock and whatever else it is doing.
//! `docs/performance.md` says what each figure means.

mod compiling;
mod error;
mod format;
mod measure;
mod memory;
mod probe;
mod report;
mod start;
mod statistics;
mod suite;
#[cfg(test)]
mod tests;
mod work;

pub use compiling::{CompiledProgram, Compiling};
pub use error::BenchError;
pub use measure::{Measurement, Repetitions, measure};
pub use memory::{available_memory, peak_memory, reset_peak_memory};
pub use probe::{Peak, Peaks, Probes};
pub use report::{Report, Setting};
pub use start::{Start, prepare_start, start};
pub use statistics::Statistics;
pub use suite::{Kind, Suite, SuiteError, Test};
pub use work::Work;
