//! Custom calls by the XLA FFI: registering handlers with a plugin, and what a plugin calls.

mod abi;
mod frame;
mod register;
mod table;

use super::abi::PjrtError;

pub(crate) use frame::Frame;
pub(crate) use register::register;
pub(crate) use table::lookups;
