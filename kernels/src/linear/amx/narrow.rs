//! Some rows: reading the weight is most of the work.
//!
//! All of `x` stays in the second-level cache, and the weight is read once, 16 rows side by side from one end to the
//! other: the tiles of their sums never leave the registers.

use half::bf16;

use super::turned::Turned;
use super::{BAND, Element, Out};
use crate::Pool;
use crate::tiles::stream::{MAX_SIDE, OfBf16, Strip, stream};
use crate::tiles::{Pairs, Registers, Sums, TILE};

/// Rows of `x` up to which this is the way: as many tiles as there are registers for sums.
pub(super) const MAX_ROWS: usize = MAX_SIDE * TILE;

/// Bytes of weight that a thread takes at a time.
const PART_BYTES: usize = 1 << 20;

/// Steps in a block of the turned `x`, which is for turning it in parallel: with one band, the order is the same for any.
const DEPTH: usize = 16;

/// Computes a layer of up to [`MAX_ROWS`] rows.
///
/// # Safety
/// As [`super::linear`].
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    inputs: usize,
    x: &[bf16],
    weight: &[bf16],
    out: &Out<O>,
) {
    let side = out.rows.div_ceil(TILE);
    let bands = out.outputs / BAND;
    let band_bytes = BAND * inputs * size_of::<bf16>();
    let bands_a_part = (PART_BYTES / band_bytes).clamp(1, bands.div_ceil(pool.threads()));
    let parts = bands.div_ceil(bands_a_part);
    // SAFETY: the caller's promise, passed on.
    unsafe {
        Turned::with(pool, x, inputs, (side, DEPTH), |turned| {
            let layer = Layer { inputs, turned: turned.tiles(), weight, out };
            pool.run(parts, &|part| {
                let first = part * bands_a_part * BAND;
                // What is left after whole bands is the last part's.
                let end = if part + 1 == parts { out.outputs } else { first + bands_a_part * BAND };
                match side {
                    1 => layer.part::<1>(first, end),
                    2 => layer.part::<2>(first, end),
                    3 => layer.part::<3>(first, end),
                    _ => layer.part::<4>(first, end),
                }
            });
        });
    }
}

struct Layer<'a, O> {
    inputs: usize,
    /// One band: step by step, as many tiles as `x` has groups of rows.
    turned: &'a [Pairs],
    weight: &'a [bf16],
    out: &'a Out<O>,
}

impl<O: Element> Layer<'_, O> {
    /// Computes the outputs from `first` to `end`, at least [`BAND`] of them.
    ///
    /// # Safety
    /// As [`super::linear`]; `x` has `SIDE` groups of rows.
    unsafe fn part<const SIDE: usize>(&self, first: usize, end: usize) {
        // SAFETY: the processor has tiles, and this thread no others.
        let registers = unsafe { Registers::configure() };
        let mut column = first;
        loop {
            // The last band is moved back to be whole; what it shares with the one before it is computed twice.
            column = column.min(end - BAND);
            let mut sums = [[Sums::ZERO; SIDE]; 2];
            for (half, sums) in sums.iter_mut().enumerate() {
                let row = column + half * TILE;
                let next = (row + TILE).min(end - TILE);
                // SAFETY: both groups of 16 rows are the weight's.
                unsafe { self.multiply(row, next, sums) };
            }
            let [upper, lower] = &sums;
            for (group, sums) in upper.iter().zip(lower).enumerate() {
                let row = group * TILE;
                let rows = TILE.min(self.out.rows - row);
                // SAFETY: the rows are the result's, and the 32 columns this thread's.
                unsafe {
                    let out = self.out.start.get().add(row * self.out.outputs + column);
                    O::round_tiles([sums.0, sums.1], rows, out, self.out.outputs);
                }
            }
            column += BAND;
            if column >= end {
                break;
            }
        }
        drop(registers);
    }

    /// The products of 16 rows of the weight from `row` on with all of `x`; asks for the beginning of those at `next`.
    ///
    /// # Safety
    /// As [`part`](Self::part); the rows exist; tiles are configured.
    #[inline]
    unsafe fn multiply<const SIDE: usize>(&self, row: usize, next: usize, sums: &mut [Sums; SIDE]) {
        let row_bytes = self.inputs * size_of::<bf16>();
        // SAFETY: the row exists.
        let start = unsafe { self.weight.as_ptr().cast::<u8>().add(row * row_bytes) };
        let strip = Strip { start, row_bytes, to_next: (next - row) * row_bytes };
        // SAFETY: the caller's promise: 16 rows, and `x` has `SIDE` tiles for each step.
        unsafe { stream::<OfBf16, SIDE>(strip, self.turned.as_ptr().cast(), sums) };
    }
}
