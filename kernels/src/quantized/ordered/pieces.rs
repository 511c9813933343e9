//! `x` in the order in which it is read.

use super::{BLOCK, Form};
use crate::LinearShape;
use crate::quantized::Codes;
use crate::quantized::layer::Layer;

/// Rows up to which a row of the weight is read from one end to the other. More read it in pieces.
const ROWS_OF_WHOLE_INPUTS: usize = 2;

/// Bytes of a piece of all rows that stay in the first-level cache.
const BYTES_IN_CACHE: usize = 28 << 10;

/// Elements of a row that meet a block of codes. In whole cache lines: a register that lies across two of them takes twice as
/// long to read.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct InBlock<X>([X; BLOCK]);

/// All of `x`, with zeros behind each row that is not whole blocks.
pub(super) struct Pieces<X> {
    /// Piece by piece, row by row.
    x: Vec<InBlock<X>>,
    rows: usize,
    /// Blocks of a row in each piece but the last.
    blocks: usize,
}

/// A piece of all rows.
pub(super) struct Piece<'a, X> {
    /// `[rows, blocks]`.
    pub(super) x: &'a [InBlock<X>],
    /// Blocks of a row before it.
    pub(super) start: usize,
    pub(super) blocks: usize,
    /// Whether there is no other.
    pub(super) is_all: bool,
}

impl<X: Copy + Default> Pieces<X> {
    /// Those of a layer that [`takes`](super::takes) says yes to.
    pub(super) fn new<F: Form<X = X>>(layer: &Layer<'_>) -> Self {
        let LinearShape { rows, inputs, .. } = layer.shape;
        let blocks_of_row = inputs.div_ceil(BLOCK);
        let pieces = match rows <= ROWS_OF_WHOLE_INPUTS {
            true => 1,
            false => (rows * blocks_of_row * size_of::<InBlock<X>>()).div_ceil(BYTES_IN_CACHE),
        };
        // Where there are several groups, whole ones.
        let unit = if layer.groups() == 1 { 1 } else { layer.group() / BLOCK };
        let blocks = blocks_of_row.div_ceil(pieces).next_multiple_of(unit);
        let is_int4 = matches!(layer.codes(), Codes::Int4(_));
        let mut x = vec![InBlock([X::default(); BLOCK]); rows * blocks_of_row];
        for (index, to) in x.chunks_mut(rows * blocks).enumerate() {
            let width = to.len() / rows;
            for (to, from) in to.chunks_mut(width).zip(layer.x.chunks(inputs)) {
                let from = from.get(index * blocks * BLOCK..).unwrap_or_default();
                for (to, from) in to.iter_mut().zip(from.chunks(BLOCK)) {
                    for (place, to) in to.0.iter_mut().enumerate() {
                        let place = if is_int4 { F::place_of_int4(place) } else { place };
                        if let Some(x) = from.get(place) {
                            *to = F::x(*x);
                        }
                    }
                }
            }
        }
        Self { x, rows, blocks }
    }

    /// One after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = Piece<'_, X>> {
        self.x.chunks(self.rows * self.blocks).enumerate().map(|(index, x)| Piece {
            x,
            start: index * self.blocks,
            blocks: x.len() / self.rows,
            is_all: x.len() == self.x.len(),
        })
    }
}
