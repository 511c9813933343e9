//! Typed access to the fields of a JSON object, with errors that name the field.

use serde_json::{Map, Value};

/// A field holds the wrong kind of value.
#[derive(Debug)]
pub(crate) struct FieldTypeError {
    pub(crate) field: String,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
}

/// The fields of one JSON object. An absent field and a `null` one read alike, as they do in transformers.
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(crate) const fn new(object: &'a Map<String, Value>) -> Self {
        Self(object)
    }

    pub(crate) fn value(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field is written out as `null`, where that differs from its absence.
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(Value::is_null)
    }

    pub(crate) fn size(&self, field: &str) -> Result<Option<usize>, FieldTypeError> {
        self.typed(field, "a non-negative integer", |value| value.as_u64()?.try_into().ok())
    }

    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>, FieldTypeError> {
        self.typed(field, "a number", Value::as_f64)
    }

    pub(crate) fn boolean(&self, field: &str) -> Result<Option<bool>, FieldTypeError> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<&'a str>, FieldTypeError> {
        self.typed(field, "a string", Value::as_str)
    }

    pub(crate) fn list(&self, field: &str) -> Result<Option<&'a Vec<Value>>, FieldTypeError> {
        self.typed(field, "a list", Value::as_array)
    }

    pub(crate) fn object(&self, field: &str) -> Result<Option<Self>, FieldTypeError> {
        Ok(self.typed(field, "an object", Value::as_object)?.map(Self))
    }

    pub(crate) fn token_id(&self, field: &str) -> Result<Option<u32>, FieldTypeError> {
        self.typed(field, "a token id", token_id)
    }

    /// One token id or a list of them; empty when the field is absent.
    pub(crate) fn token_ids(&self, field: &str) -> Result<Vec<u32>, FieldTypeError> {
        let ids = self.typed(field, "a token id or a list of token ids", |value| match value {
            Value::Array(ids) => ids.iter().map(token_id).collect(),
            other => Some(vec![token_id(other)?]),
        })?;
        Ok(ids.unwrap_or_default())
    }

    fn typed<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FieldTypeError> {
        let Some(value) = self.value(field) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(FieldTypeError { field: field.to_owned(), expected, found: excerpt(value) }),
        }
    }
}

fn token_id(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

/// The value as JSON, cut short so that an error stays one line.
pub(crate) fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The JSON type of a value, as a noun with its article.
pub(crate) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
