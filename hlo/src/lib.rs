//! Reads *optimized, scheduled HLO*, the form in which XLA's compilers hand out what they made of a program, and says
//! what running it costs on one device: HBM traffic, floating-point operations, collectives, large temporaries, and an
//! estimate of the time. It knows nothing of models or plugins, and runs nothing.
//!
//! ```
//! use lapidary_hlo::{Module, Report, ReportOptions};
//!
//! let text = "
//!     HloModule double, is_scheduled=true
//!     ENTRY main {
//!       x = f32[1024]{0} parameter(0), metadata={op_name=\"x\"}
//!       ROOT sum = f32[1024]{0} add(x, x), metadata={op_name=\"layers.0.mlp/add\"}
//!     }";
//! let report = Report::of(&Module::from_text(text)?, &ReportOptions::default());
//! assert_eq!((report.traffic.read, report.traffic.written), (4096, 4096));
//! assert_eq!(report.by_group[0].name, "layers.*.mlp");
//! # Ok::<(), lapidary_hlo::ReadError>(())
//! ```

mod attributes;
mod attribution;
mod collectives;
mod copies;
mod error;
mod estimate;
mod execution;
mod flops;
mod link;
mod liveness;
mod memory;
mod module;
mod opcode;
mod proto;
mod read;
mod replica_groups;
mod report;
mod shape;
mod text;
mod traffic;

pub use attributes::{
    Attributes, BackendConfig, Called, CollectiveAttributes, Convolution, DotDimensions, Metadata,
    OutputAlias, WindowDimension,
};
pub use attribution::{GroupRule, Groups};
pub use collectives::{Collective, MeshAxis, MeshShape, sent_bytes};
pub use error::{Place, Problem, ReadError};
pub use estimate::{Roofline, StepEstimate};
pub use execution::UnknownLoop;
pub use flops::Flops;
pub use memory::Temporary;
pub use module::{Alias, Computation, ComputationId, Instruction, InstructionId, Module};
pub use opcode::{CollectiveKind, Opcode};
pub use replica_groups::ReplicaGroups;
pub use report::{
    COPIES, InstructionCost, Parameter, ProgramResult, Report, ReportOptions, Share, UNATTRIBUTED,
};
pub use shape::{ArrayShape, COMBINED, ElementType, Layout, Shape, ShapeError};
pub use traffic::{MemorySpaces, Traffic};
