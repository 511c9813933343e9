//! What an operand or a result is to its op.

use std::fmt;

/// An operand or result by the name that the StableHLO specification gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The only operand, or the one that the others are about.
    Operand,
    /// Left operand.
    Lhs,
    /// Right operand.
    Rhs,
    /// Condition of `select` and `if`.
    Pred,
    /// What `select` takes where the condition holds.
    OnTrue,
    /// What `select` takes elsewhere.
    OnFalse,
    /// Lower bound of `clamp`.
    Min,
    /// Upper bound of `clamp`.
    Max,
    /// Box that `dynamic_update_slice` writes.
    Update,
    /// Filler of `pad`.
    PaddingValue,
    /// Start of a dynamic slice in one dimension, or the indices of `gather`.
    StartIndices(Option<u32>),
    /// Indices of `scatter`.
    ScatterIndices,
    /// Branch index of `case`.
    Index,
    /// Random state.
    InitialState,
    /// One of several inputs.
    Input(u32),
    /// Initial accumulator of `reduce`.
    InitValue(u32),
    /// Updates of `scatter`.
    Updates(u32),
    /// The result.
    Result,
}

impl Role {
    /// The `index`-th of several inputs.
    pub(super) fn input(index: usize) -> Self {
        Role::Input(position(index))
    }

    /// The `index`-th initial accumulator.
    pub(super) fn init_value(index: usize) -> Self {
        Role::InitValue(position(index))
    }

    /// The `index`-th updates.
    pub(super) fn updates(index: usize) -> Self {
        Role::Updates(position(index))
    }

    /// The start in dimension `index`.
    pub(super) fn start(index: usize) -> Self {
        Role::StartIndices(Some(position(index)))
    }
}

/// Roles only name operands in messages, so a position beyond any real op's may saturate.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Role::Operand => "operand",
            Role::Lhs => "lhs",
            Role::Rhs => "rhs",
            Role::Pred => "pred",
            Role::OnTrue => "on_true",
            Role::OnFalse => "on_false",
            Role::Min => "min",
            Role::Max => "max",
            Role::Update => "update",
            Role::PaddingValue => "padding_value",
            Role::StartIndices(None) => "start_indices",
            Role::ScatterIndices => "scatter_indices",
            Role::Index => "index",
            Role::InitialState => "initial_state",
            Role::Result => "result",
            Role::StartIndices(Some(i)) => return write!(f, "`start_indices[{i}]`"),
            Role::Input(i) => return write!(f, "`inputs[{i}]`"),
            Role::InitValue(i) => return write!(f, "`init_values[{i}]`"),
            Role::Updates(i) => return write!(f, "`updates[{i}]`"),
        };
        write!(f, "`{name}`")
    }
}
