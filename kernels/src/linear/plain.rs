//! Loops that the compiler makes vectors of.

use super::{Block, Element};
use crate::dot::dot;

/// Partial sums that are kept side by side: two registers of eight f32.
const SUMS: usize = 16;

/// Computes a block with the instructions that every processor of the architecture has.
pub(super) fn rows<O: Element>(mut block: Block<'_, O>) {
    let inputs = block.shape.inputs;
    for (column, weight) in block.weight.chunks_exact(inputs).enumerate() {
        for (row, x) in block.x.chunks_exact(inputs).enumerate() {
            block.out.set(row, column, dot::<SUMS>(x, weight));
        }
    }
}
