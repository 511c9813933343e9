//! Named values: options given to a plugin, and attributes that it reports.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Attributes of a plugin, device, topology or executable, by name.
pub type Attributes = BTreeMap<String, Value>;

/// A value of one of the types that PJRT options and attributes can have. It is serialized as the bare value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A list of 64-bit integers, e.g. the coordinates of a TPU chip.
    Ints(Vec<i64>),
    /// A single-precision float.
    Float(f32),
    /// A truth value.
    Bool(bool),
}

/// The type of a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// [`Value::String`].
    String,
    /// [`Value::Int`].
    Int,
    /// [`Value::Ints`].
    Ints,
    /// [`Value::Float`].
    Float,
    /// [`Value::Bool`].
    Bool,
}

impl Value {
    /// The type of this value.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::String(_) => ValueKind::String,
            Self::Int(_) => ValueKind::Int,
            Self::Ints(_) => ValueKind::Ints,
            Self::Float(_) => ValueKind::Float,
            Self::Bool(_) => ValueKind::Bool,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(value) => write!(f, "{value:?}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Ints(value) => write!(f, "{value:?}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::Int => "an integer",
            Self::Ints => "a list of integers",
            Self::Float => "a float",
            Self::Bool => "true or false",
        })
    }
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

value_from! { String => String, &str => String, i64 => Int, Vec<i64> => Ints, f32 => Float, bool => Bool }
