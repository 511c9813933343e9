//! What the benchmarks share: the shapes of models, the limits of the machine, how calls are timed, and the table that is
//! kept of the ratios.

// Not every benchmark uses all of it.
#![allow(dead_code)]

pub mod limits;
pub mod models;
pub mod options;
pub mod table;
#[cfg(target_arch = "x86_64")]
mod tile_peak;
pub mod timing;
