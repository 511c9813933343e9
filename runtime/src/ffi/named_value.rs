//! Named values across the C boundary.

use std::ffi::CString;

use super::abi::{NamedValue, NamedValuePayload, named_value_type};
use super::{copy_slice, copy_string};
use crate::{Attributes, Error, Result, Value};

/// Options in the form that the C API takes. The C structs point into this value.
pub(super) struct NamedValues {
    values: Vec<NamedValue>,
    _strings: Vec<CString>,
    _lists: Vec<Vec<i64>>,
}

impl NamedValues {
    pub(super) fn new(options: &Attributes) -> Result<Self> {
        let mut strings = Vec::new();
        let mut lists = Vec::new();
        let mut values = Vec::with_capacity(options.len());
        for (name, value) in options {
            let name = c_string("an option's name", name)?;
            let mut raw = NamedValue::new();
            // Moving a `CString` or `Vec` does not move the bytes that it owns.
            raw.name = name.as_ptr();
            raw.name_size = name.as_bytes().len();
            strings.push(name);
            raw.value_size = 1;
            (raw.value_type, raw.value) = match value {
                Value::String(text) => {
                    let text = c_string("an option's value", text)?;
                    raw.value_size = text.as_bytes().len();
                    let payload = NamedValuePayload { string: text.as_ptr() };
                    strings.push(text);
                    (named_value_type::STRING, payload)
                }
                Value::Int(int64) => (named_value_type::INT64, NamedValuePayload { int64: *int64 }),
                Value::Ints(list) => {
                    let list = list.clone();
                    raw.value_size = list.len();
                    let payload = NamedValuePayload { int64_list: list.as_ptr() };
                    lists.push(list);
                    (named_value_type::INT64_LIST, payload)
                }
                Value::Float(float) => (named_value_type::FLOAT, NamedValuePayload { float: *float }),
                Value::Bool(boolean) => (named_value_type::BOOL, NamedValuePayload { boolean: *boolean }),
            };
            values.push(raw);
        }
        Ok(Self { values, _strings: strings, _lists: lists })
    }

    pub(super) fn as_slice(&self) -> &[NamedValue] {
        &self.values
    }
}

fn c_string(what: &'static str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::NulByte { what, text: text.to_owned() })
}

/// Copies attributes that a plugin returned. Values of a type unknown here are left out.
///
/// # Safety
/// `values` is null or points to `count` named values whose payloads match their types.
pub(super) unsafe fn read_all(values: *const NamedValue, count: usize) -> Attributes {
    let mut attributes = Attributes::new();
    if values.is_null() {
        return attributes;
    }
    for index in 0..count {
        // SAFETY: the caller vouches for `count` values; the plugin's structs have the size that these
        // bindings know, as arrays of them could not grow without breaking the ABI.
        let raw = unsafe { &*values.add(index) };
        // SAFETY: `value_type` says which member of the union is live, and pointers have `value_size` items.
        let value = unsafe {
            match raw.value_type {
                named_value_type::STRING => Value::String(copy_string(raw.value.string, raw.value_size)),
                named_value_type::INT64 => Value::Int(raw.value.int64),
                named_value_type::INT64_LIST => Value::Ints(copy_slice(raw.value.int64_list, raw.value_size)),
                named_value_type::FLOAT => Value::Float(raw.value.float),
                named_value_type::BOOL => Value::Bool(raw.value.boolean),
                _ => continue,
            }
        };
        // SAFETY: the name has `name_size` bytes.
        attributes.insert(unsafe { copy_string(raw.name, raw.name_size) }, value);
    }
    attributes
}
