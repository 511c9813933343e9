//! What can still go wrong once a module is verified.

use std::fmt;

use lapidary_graph::TensorType;

use crate::sharding::RulesMismatch;

/// Why a module cannot be lowered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LowerError {
    /// The module has no function called `main`.
    #[error("module `{module}` has no entry: add a function called `main`")]
    NoEntry {
        /// Name of the module.
        module: String,
    },
    /// Sharding rules and a mesh that do not go together.
    #[error(transparent)]
    Rules(#[from] RulesMismatch),
    /// A literal too large for program text.
    #[error(
        "a constant of type {ty} ({bytes} bytes) at {location} exceeds the {limit} bytes that a program may \
         carry: compute it (iota) or pass it as a parameter"
    )]
    ConstantTooLarge {
        /// Type of the literal.
        ty: TensorType,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
        /// Function and model path.
        location: String,
    },
    /// Functions inlined into one another too deeply.
    #[error(
        "function `{function}` is nested more than {limit} levels deep: use `call` for some of the levels"
    )]
    NestedTooDeeply {
        /// The function at the limit.
        function: String,
        /// The limit.
        limit: usize,
    },
    /// A text that no plugin should be asked to parse.
    #[error("the program's text exceeds {limit} bytes: use `call` for what repeats")]
    TextTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A module that verification would have refused.
    #[error("the module was not verified: {0}")]
    Unverified(String),
    /// The text's destination failed.
    #[error("writing the program's text failed")]
    Write(#[from] fmt::Error),
}
