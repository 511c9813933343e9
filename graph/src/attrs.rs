//! Attributes that are open by nature: those of composites and custom calls, and logical axes.

/// One attribute value.
#[derive(Clone, PartialEq, Debug)]
pub enum Attr {
    /// Boolean.
    Bool(bool),
    /// 64-bit signed integer.
    Int(i64),
    /// Double-precision float.
    Float(f64),
    /// Text.
    Str(String),
    /// List of 64-bit signed integers.
    Ints(Vec<i64>),
}

/// Named attributes in a fixed order, so that whatever prints them is deterministic.
pub type Attributes = Vec<(String, Attr)>;

/// The logical axis of each dimension, `None` where a dimension has no name.
///
/// Logical axes say what a dimension means (`batch`, `heads`, `ffn`); which mesh axis it is split over is
/// decided by sharding rules at lowering.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LogicalAxes(pub Vec<Option<String>>);

impl LogicalAxes {
    /// Axes from names; an empty name or `_` leaves the dimension unnamed.
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|n| (!n.is_empty() && *n != "_").then(|| n.to_string())).collect())
    }
}
