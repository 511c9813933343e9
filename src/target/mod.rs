//! Hardware to plan and compile for: how a target is named, and the facts about it.
//!
//! None of it needs a plugin or the hardware. What lowering knows about a platform is another table,
//! [`lapidary_lower::Target`]; [`TargetSpec::lowering`] leads from one to the other.

mod arrangement;
mod catalogue;
mod error;
mod gpu;
mod hardware;
mod spec;
mod tpu;

pub(crate) use arrangement::arranged;
pub use catalogue::{CatalogueEntry, catalogue};
pub use error::TargetError;
pub use gpu::Gpu;
pub use hardware::{Hardware, Interconnect, Network};
pub use spec::TargetSpec;
pub use tpu::{ChipConfig, TpuGeneration, TpuSlice};
