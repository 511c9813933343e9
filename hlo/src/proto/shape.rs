//! Shapes in protocol buffers.

use super::index;
use super::messages::{LayoutProto, ShapeProto};
use crate::error::Problem;
use crate::shape::{ArrayShape, ElementType, Layout, Shape};

/// `PrimitiveType.TUPLE`.
const TUPLE: i32 = 13;
/// `PrimitiveType.BUFFER`: a reference to memory, whose shape is in `tuple_shapes`.
const BUFFER: i32 = 34;

/// Reads a shape. How deep tuples nest is limited by the decoder of the message.
pub(super) fn read(proto: &ShapeProto) -> Result<Shape, Problem> {
    match (proto.element_type, proto.tuple_shapes.as_slice()) {
        (TUPLE, parts) => Ok(Shape::Tuple(parts.iter().map(read).collect::<Result<_, _>>()?)),
        (BUFFER, [inner]) => read(inner),
        (number, _) => Ok(Shape::Array(ArrayShape {
            element_type: ElementType::from_number(number).ok_or(Problem::ElementType(number))?,
            // A negative size is an unbounded one, and larger than any memory.
            dimensions: proto
                .dimensions
                .iter()
                .map(|&size| u64::try_from(size).unwrap_or(u64::MAX))
                .collect(),
            layout: layout(proto.layout.as_ref()),
        })),
    }
}

fn layout(proto: Option<&LayoutProto>) -> Layout {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let Some(proto) = proto else { return Layout { tail_alignment: 1, ..Layout::default() } };
    Layout {
        minor_to_major: proto.minor_to_major.iter().map(|&dimension| index(dimension)).collect(),
        tiles: proto.tiles.iter().map(|tile| tile.dimensions.clone()).collect(),
        element_bits: unsigned(proto.element_size_in_bits),
        memory_space: proto.memory_space,
        tail_alignment: unsigned(proto.tail_padding_alignment_in_elements).max(1),
    }
}
