//! A small tensor IR for XLA: types, ops, builder, inference, verifier, text form and interpreter.
//!
//! A [`Module`] owns [`Function`]s; a function owns its values and operations in arenas, in topological
//! order. Ops follow the names and attribute order of the StableHLO specification; bodies of `reduce`,
//! `while`, `sort` and friends are functions of the same module and capture nothing, as in HLO.
//! Compositions such as RMSNorm or attention are written on the builder, in [`nn`].

pub mod attrs;
pub mod builder;
mod count;
pub mod dtype;
pub mod element;
pub mod ids;
pub mod infer;
pub mod interp;
pub mod literal;
pub mod module;
pub mod nn;
pub mod op;
pub mod scope;
pub mod text;
pub mod types;
pub mod verify;

pub use attrs::{Attr, Attributes, LogicalAxes};
pub use builder::{BuildError, FunctionBuilder};
pub use dtype::DType;
pub use ids::{FuncId, OpId, ScopeId, ValueId};
pub use infer::InferError;
pub use literal::Literal;
pub use module::{Function, FunctionResult, FunctionType, Module, Operation, Param, Value, ValueDef};
pub use op::Op;
pub use scope::Scopes;
pub use types::TensorType;
pub use verify::{VerifiedModule, verify, verify_program};
