//! Attributes of instructions: which of them matter, and their values.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cursor::Cursor;
use super::{convolution, devices};
use crate::attributes::{Attributes, BackendConfig, DotDimensions, Metadata, OutputAlias};
use crate::error::ReadError;
use crate::link::RawCalled;
use crate::module::Alias;

/// Attributes by name.
#[derive(Default)]
pub(super) struct Values<'t>(HashMap<&'t str, Value<'t>>);

/// A value as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    pub text: &'t str,
    line: usize,
}

impl<'t> Values<'t> {
    pub(super) fn insert(&mut self, key: &'t str, text: &'t str, line: usize) {
        self.0.insert(key, Value { text, line });
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'t>> {
        self.0.get(key).copied()
    }

    /// Reads a value, if it is there, to its end.
    pub(super) fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&mut Cursor<'t>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let mut cursor = Cursor::new(value.text, value.line);
        let result = read(&mut cursor)?;
        cursor.end(&format!("`{key}`"))?;
        Ok(Some(result))
    }

    fn name(&self, key: &str) -> Result<Option<String>, ReadError> {
        self.read(key, |cursor| Ok(cursor.name("the name of a computation")?.to_string()))
    }

    fn word(&self, key: &str) -> Option<String> {
        self.get(key).map(|value| unquoted(value.text).into_owned())
    }
}

/// What an instruction calls, what it waits for, and the rest.
pub(super) fn read(values: &Values<'_>) -> Result<(RawCalled, Vec<String>, Attributes), ReadError> {
    let names = |cursor: &mut Cursor<'_>| list(cursor, |c| Ok(c.name("a name")?.to_string()));
    let mut called = RawCalled {
        calls: values.name("calls")?,
        to_apply: values.name("to_apply")?,
        condition: values.name("condition")?,
        body: values.name("body")?,
        branches: values.read("branch_computations", names)?.unwrap_or_default(),
    };
    called.branches.extend(values.name("true_computation")?);
    called.branches.extend(values.name("false_computation")?);
    let control_predecessors = values.read("control-predecessors", names)?.unwrap_or_default();

    let integers = |key: &str| values.read(key, |cursor| list(cursor, |c| c.integer("a number")));
    let attributes = Attributes {
        metadata: values.read("metadata", metadata)?.unwrap_or_default(),
        tuple_index: values.read("index", |cursor| cursor.integer("an index"))?,
        direction: values.word("direction"),
        fusion_kind: values.word("kind"),
        custom_call_target: values.word("custom_call_target"),
        dot: integers("lhs_contracting_dims")?.map(|lhs_contracting| DotDimensions { lhs_contracting }),
        convolution: convolution::read(values)?,
        collective: devices::read(values)?,
        output_aliases: values.read("output_to_operand_aliasing", output_aliases)?.unwrap_or_default(),
        cross_program_prefetch: values
            .read("cross_program_prefetch_index", |cursor| cursor.integer("an index"))?,
        backend: values
            .get("backend_config")
            .map_or_else(BackendConfig::default, |value| BackendConfig::from_json(&unquoted(value.text))),
        ..Attributes::default()
    };
    Ok((called, control_predecessors, attributes))
}

/// `{item, item, ...}`
pub(super) fn list<'t, T>(
    cursor: &mut Cursor<'t>,
    mut item: impl FnMut(&mut Cursor<'t>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    cursor.expect("{", "of a list")?;
    let mut items = Vec::new();
    while !cursor.eat("}") {
        if !items.is_empty() {
            cursor.expect(",", "or `}` in a list")?;
        }
        items.push(item(cursor)?);
    }
    Ok(items)
}

/// `{op_name="..." source_file="..." source_line=3}`
fn metadata(cursor: &mut Cursor<'_>) -> Result<Metadata, ReadError> {
    let mut metadata = Metadata::default();
    cursor.expect("{", "of metadata")?;
    while !cursor.eat("}") {
        cursor.eat(",");
        let key = cursor.word();
        cursor.expect("=", "after the name of metadata")?;
        match key {
            "op_name" => metadata.op_name = cursor.string_or_word().into_owned(),
            "source_file" => metadata.source_file = cursor.string_or_word().into_owned(),
            "source_line" => metadata.source_line = cursor.integer("a line")?,
            _ if cursor.sees("{") => drop(cursor.bracketed("{", "}", "of metadata")?),
            _ => drop(cursor.string_or_word()),
        }
    }
    Ok(metadata)
}

fn path(cursor: &mut Cursor<'_>) -> Result<Vec<usize>, ReadError> {
    list(cursor, |c| c.integer("an index into a tuple"))
}

/// `{{0}: (1, {}), {1}: (2, {})}`, the second path being into the operand.
fn output_aliases(cursor: &mut Cursor<'_>) -> Result<Vec<OutputAlias>, ReadError> {
    let entries = aliases(cursor)?;
    Ok(entries.into_iter().map(|(output, operand)| OutputAlias { output, operand }).collect())
}

/// Results that take over a parameter's memory, from the module's header.
pub(super) fn module_aliases(values: &Values<'_>) -> Result<Vec<Alias>, ReadError> {
    let entries = values.read("input_output_alias", aliases)?.unwrap_or_default();
    Ok(entries.into_iter().map(|(output, parameter)| Alias { output, parameter }).collect())
}

/// `{ {0}: (1, {}, may-alias), ... }`: path into the result, and the number of a parameter or operand.
fn aliases(cursor: &mut Cursor<'_>) -> Result<Vec<(Vec<usize>, usize)>, ReadError> {
    list(cursor, |cursor| {
        let output = path(cursor)?;
        cursor.expect(":", "in an alias")?;
        let source = cursor.parenthesized("of an alias")?;
        let number = cursor.within(source).integer("the number of a parameter or operand")?;
        Ok((output, number))
    })
}

/// The text in quotes, or all of it where there are none.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    match text.starts_with('"') {
        true => Cursor::new(text, 1).string_or_word(),
        false => Cow::Borrowed(text),
    }
}
