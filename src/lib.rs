//! Gemma, cut for XLA: one Rust graph, lowered to StableHLO, compiled and run through PJRT.
//!
//! This is the facade: [`graph`], [`lower`], [`models`] and [`runtime`] are the parts, and only this package
//! joins them. [`engine`] runs a model, [`eval`] says how good it is, and [`bundle`] compiles it for devices that need
//! not be here; `examples/` shows how.

pub mod bench;
pub mod bundle;
mod device_position;
pub mod engine;
pub mod eval;
pub mod export;
pub mod inspect;
pub mod model;
pub mod plan;
pub mod target;

pub use lapidary_graph as graph;
pub use lapidary_hlo as hlo;
pub use lapidary_lower as lower;
pub use lapidary_models as models;
pub use lapidary_runtime as runtime;
