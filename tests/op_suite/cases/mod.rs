//! The cases, by family.

mod contract;
mod control;
mod elementwise;
mod index;
mod kernels;
mod quantized;
mod random;
mod shape;

pub(crate) use contract::{dots, reductions, sorts};
pub(crate) use control::control_flow;
pub(crate) use elementwise::{binary, choice, conversions, unary};
pub(crate) use index::indexing;
pub(crate) use kernels::kernels;
pub(crate) use quantized::quantized;
pub(crate) use random::random_bits;
pub(crate) use shape::shapes;
