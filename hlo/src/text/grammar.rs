//! Modules, computations and instructions.

use super::attributes::{self, Values};
use super::cursor::Cursor;
use super::elements::Instructions;
use super::shape::shape;
use crate::error::ReadError;
use crate::link::{RawComputation, RawInstruction, RawModule};
use crate::shape::Shape;

/// Tables of source positions, which newer versions of XLA print before the computations; each has a line with its
/// name and then lines that begin with a number.
const TABLES: [&str; 4] = ["FileNames", "FunctionNames", "FileLocations", "StackFrames"];

pub(super) fn module(text: &str) -> Result<RawModule, ReadError> {
    let mut cursor = Cursor::new(text, 1);
    if cursor.word() != "HloModule" {
        return Err(Cursor::new(text, 1).expected("`HloModule`"));
    }
    let name = cursor.name("the module's name")?.to_string();
    let header = values(&mut cursor)?;
    let mut module = RawModule { name, ..RawModule::default() };
    module.is_scheduled = header.get("is_scheduled").is_some_and(|value| value.text == "true");
    module.aliases = attributes::module_aliases(&header)?;

    let mut entry = None;
    while let Some(first) = cursor.peek() {
        if first.is_ascii_digit() || TABLES.iter().any(|table| cursor.sees(table)) {
            cursor.skip_line();
            continue;
        }
        let is_entry = cursor.sees("ENTRY ") || cursor.sees("ENTRY%");
        if is_entry {
            cursor.eat("ENTRY");
        }
        let computation = computation(&mut cursor)?;
        if is_entry {
            entry = Some(computation.name.clone());
        }
        module.computations.push(computation);
    }
    // A module of one computation needs no mark.
    module.entry = entry.or_else(|| match module.computations.as_slice() {
        [only] => Some(only.name.clone()),
        _ => None,
    });
    Ok(module)
}

fn computation(cursor: &mut Cursor<'_>) -> Result<RawComputation, ReadError> {
    let line = cursor.line();
    let name = cursor.name("a computation")?.to_string();
    let mut computation = RawComputation { name, line: Some(line), ..RawComputation::default() };
    if cursor.sees("(") {
        // Parameters say their types themselves.
        cursor.parenthesized("of the computation's parameters")?;
        cursor.expect("->", "and the type of the result")?;
        shape(cursor)?;
    }
    cursor.expect("{", "of the computation's body")?;
    let mut instructions = Instructions::default();
    while !cursor.eat("}") {
        let is_root = cursor.sees("ROOT ") || cursor.sees("ROOT%");
        if is_root {
            cursor.eat("ROOT");
        }
        let number = instructions.push(instruction(cursor)?);
        if is_root {
            computation.root = Some(number);
        }
    }
    computation.instructions = instructions.into_vec();
    values(cursor)?;
    Ok(computation)
}

fn instruction(cursor: &mut Cursor<'_>) -> Result<RawInstruction, ReadError> {
    let line = cursor.line();
    let name = cursor.name("an instruction or `}`")?.to_string();
    cursor.expect("=", "after the instruction's name")?;
    let shape = shape(cursor)?;
    let opcode = match cursor.word() {
        "" => return Err(cursor.expected("an opcode")),
        opcode => opcode.to_string(),
    };
    let arguments = cursor.parenthesized("of the operands")?;
    let mut inside = cursor.within(arguments);
    let mut parameter = None;
    let mut integer = None;
    let mut operands = Vec::new();
    match opcode.as_str() {
        "parameter" => {
            parameter = Some(inside.integer("the number of a parameter")?);
            inside.end("the number of a parameter")?;
        }
        "constant" => integer = integer_literal(inside, &shape),
        _ => operands = names(&mut inside)?,
    }
    let values = values(cursor)?;
    let (called, control_predecessors, mut attributes) = attributes::read(&values)?;
    attributes.parameter = parameter;
    attributes.integer = integer;
    Ok(RawInstruction {
        name,
        line: Some(line),
        opcode,
        shape,
        operands,
        called,
        control_predecessors,
        attributes,
    })
}

/// Operands, with or without their types.
fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ReadError> {
    let mut names = Vec::new();
    while let Some(first) = cursor.peek() {
        if !names.is_empty() {
            cursor.expect(",", "between operands")?;
        }
        let mut after_word = cursor.clone();
        after_word.word();
        if first == '(' || after_word.adjacent() == Some('[') {
            shape(cursor)?;
        }
        let mut name = cursor.name("an operand")?.to_string();
        if cursor.adjacent() == Some('#') {
            cursor.eat("#");
            name.push_str(&format!("#{}", cursor.integer::<usize>("the number of a tuple's element")?));
        }
        names.push(name);
    }
    Ok(names)
}

/// The value of an integer scalar; what arrays and floats hold matters to nobody here.
fn integer_literal(mut cursor: Cursor<'_>, shape: &Shape) -> Option<i64> {
    let is_scalar = shape.as_array().is_some_and(|array| array.dimensions.is_empty());
    let value = cursor.integer("an integer").ok()?;
    (is_scalar && cursor.peek().is_none()).then_some(value)
}

/// `, key=value` as often as it stands there.
fn values<'t>(cursor: &mut Cursor<'t>) -> Result<Values<'t>, ReadError> {
    let mut values = Values::default();
    while cursor.eat(",") {
        let line = cursor.line();
        let key = match cursor.word() {
            "" => return Err(cursor.expected("the name of an attribute")),
            key => key,
        };
        cursor.expect("=", "after the name of an attribute")?;
        values.insert(key, cursor.value("an attribute")?, line);
    }
    Ok(values)
}
