//! The metadata of a file, with errors that name the key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::error::{GgufError, Place};
use super::value::{Array, Kind, Value};

/// Values by key.
#[derive(Debug, Default)]
pub(super) struct Metadata(HashMap<String, Value>);

impl Metadata {
    pub(super) fn insert(&mut self, key: String, value: Value) -> Result<(), GgufError> {
        match self.0.entry(key) {
            Entry::Occupied(taken) => Err(GgufError::Duplicate { place: Place::Key(taken.key().clone()) }),
            Entry::Vacant(free) => {
                free.insert(value);
                Ok(())
            }
        }
    }

    pub(super) fn unsigned(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.typed(key, "a non-negative integer", |value| match value {
            Value::Unsigned(value) => Some(*value),
            Value::Signed(value) => (*value).try_into().ok(),
            Value::Float(_) | Value::Bool(_) | Value::Text(_) | Value::Array(_) => None,
        })
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.typed(key, "a number", |value| match value {
            Value::Float(value) => Some(*value),
            Value::Unsigned(value) => Some(*value as f64),
            Value::Signed(value) => Some(*value as f64),
            Value::Bool(_) | Value::Text(_) | Value::Array(_) => None,
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.typed(key, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Bool(_) | Value::Array(_) => {
                None
            }
        })
    }

    /// An array of elements of one of the types `kinds`, in words `expected`.
    pub(super) fn array(
        &self,
        key: &str,
        kinds: &[Kind],
        expected: &'static str,
    ) -> Result<Option<&Array>, GgufError> {
        self.typed(key, expected, |value| match value {
            Value::Array(array) => kinds.contains(&array.kind).then_some(array),
            Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Bool(_) | Value::Text(_) => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(GgufError::Value {
                key: key.to_owned(),
                expected: expected.to_owned(),
                found: value.excerpt(),
            }),
        }
    }
}

/// The error of a key that has no default.
pub(super) fn missing(key: impl Into<String>) -> GgufError {
    GgufError::MissingKey { key: key.into() }
}
