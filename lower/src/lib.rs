//! Verified lapidary graphs to StableHLO text, with Shardy shardings, per target.
//!
//! [`lower`] turns a module into one text that a PJRT plugin compiles. The text is deterministic, so it can
//! be a golden file and a cache key; every operation carries its model path as an MLIR location, which XLA
//! keeps as `op_name`, so that profiles and compiler dumps speak in model terms. It is written for the
//! oldest reader among the supported plugins (StableHLO 1.13).
//!
//! What differs between platforms is in one table each, [`Target`]; how values are split over devices is
//! decided here and only here, from a [`Mesh`] and [`ShardingRules`].

mod composites;
mod emit;
mod error;
mod mlir;
mod program;
pub mod sharding;
pub mod target;

pub use composites::{Decomposed, LoweredComposite};
pub use error::LowerError;
pub use program::{LowerOptions, Lowered, lower, lower_and_tell};
pub use sharding::{EntryShardings, Mesh, Sharding, ShardingRules, entry_shardings};
pub use target::Target;
