//! Shapes: `bf16[4,128]{1,0:T(8,128)(2,1)S(1)}`, `(f32[8], s32[])`.

use super::cursor::Cursor;
use crate::error::ReadError;
use crate::shape::{ArrayShape, COMBINED, ElementType, Layout, Shape};

/// How deep tuples may nest.
const MAX_NESTING: usize = 32;

/// Reads a shape.
pub(super) fn shape(cursor: &mut Cursor<'_>) -> Result<Shape, ReadError> {
    nested(cursor, 0)
}

fn nested(cursor: &mut Cursor<'_>, depth: usize) -> Result<Shape, ReadError> {
    if depth > MAX_NESTING {
        return Err(cursor.expected(format!("tuples nested at most {MAX_NESTING} deep")));
    }
    if !cursor.eat("(") {
        return array(cursor, depth);
    }
    let mut parts = Vec::new();
    while !cursor.eat(")") {
        if !parts.is_empty() {
            cursor.expect(",", "or `)` in a tuple shape")?;
        }
        parts.push(nested(cursor, depth + 1)?);
    }
    Ok(Shape::Tuple(parts))
}

fn array(cursor: &mut Cursor<'_>, depth: usize) -> Result<Shape, ReadError> {
    let mut at = cursor.clone();
    let name = cursor.word();
    // A reference to memory, as Mosaic kernels have them.
    if name == "b" && cursor.adjacent() == Some('(') {
        cursor.expect("(", "after `b`")?;
        let shape = nested(cursor, depth + 1)?;
        cursor.expect(")", "after the shape of a buffer")?;
        return Ok(shape);
    }
    let element_type = ElementType::from_name(name);
    let element_type = element_type.ok_or_else(|| at.expected("a shape such as `bf16[4,128]`"))?;
    cursor.expect("[", "after the element type")?;
    let mut dimensions = Vec::new();
    while !cursor.eat("]") {
        if !dimensions.is_empty() {
            cursor.expect(",", "or `]` in a shape")?;
        }
        // A dimension whose size is known only when the program runs has a bound.
        cursor.eat("<=");
        dimensions.push(cursor.integer("the size of a dimension")?);
    }
    // A brace after a space opens the body of a computation.
    let layout = if cursor.adjacent() == Some('{') { layout(cursor)? } else { plain_layout() };
    Ok(Shape::Array(ArrayShape { element_type, dimensions, layout }))
}

pub(super) fn plain_layout() -> Layout {
    Layout { tail_alignment: 1, ..Layout::default() }
}

fn layout(cursor: &mut Cursor<'_>) -> Result<Layout, ReadError> {
    let mut layout = plain_layout();
    cursor.expect("{", "of a layout")?;
    while !cursor.sees(":") && !cursor.sees("}") {
        if !layout.minor_to_major.is_empty() {
            cursor.expect(",", "`:` or `}` in a layout")?;
        }
        layout.minor_to_major.push(cursor.integer("the number of a dimension")?);
    }
    if cursor.eat(":") {
        properties(cursor, &mut layout)?;
    }
    cursor.expect("}", "of a layout")?;
    Ok(layout)
}

/// What follows the colon: letters with arguments in parentheses. Those that say nothing of size or place (how
/// sparse arrays are indexed, how one is split over memories) are skipped.
fn properties(cursor: &mut Cursor<'_>, layout: &mut Layout) -> Result<(), ReadError> {
    while !cursor.sees("}") {
        let property = match cursor.word() {
            "" if cursor.eat("#") || cursor.eat("*") => "",
            "" => return Err(cursor.expected("`}` or a property of a layout such as `T(8,128)`")),
            word => word,
        };
        while cursor.sees("(") {
            let arguments = cursor.parenthesized("of a layout property")?;
            let mut arguments = cursor.within(arguments);
            match property {
                "T" => layout.tiles.push(tile(&mut arguments)?),
                "E" => layout.element_bits = arguments.integer("a number of bits")?,
                "L" => layout.tail_alignment = arguments.integer("a number of elements")?,
                "S" => layout.memory_space = arguments.integer("the number of a memory space")?,
                _ => continue,
            }
            arguments.end("a layout property")?;
        }
    }
    Ok(())
}

fn tile(cursor: &mut Cursor<'_>) -> Result<Vec<i64>, ReadError> {
    let mut sizes = Vec::new();
    while cursor.peek().is_some() {
        if !sizes.is_empty() {
            cursor.expect(",", "in a tile")?;
        }
        sizes.push(if cursor.eat("*") { COMBINED } else { cursor.integer("the size of a tile")? });
    }
    Ok(sizes)
}
