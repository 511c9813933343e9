//! Many rows: the products are most of the work.
//!
//! The weight is taken in blocks of some outputs and [`DEPTH`] inputs, which are widened to f32 and stay in the second-level
//! cache while all of `x` passes by. Sixteen rows of `x`, transposed, stay in the first-level cache meanwhile: a product's one
//! factor is a register of them, the other one weight. Sums of a tile of outputs by rows never leave the registers in a block.
//! Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::cell::RefCell;
use std::ops::Range;

use half::bf16;

use super::transposed::Transposed;
use crate::Pool;
use crate::avx2::tile::{self, Tile};
use crate::avx2::{LANES, panel};
use crate::linear::{Element, LinearShape};
use crate::pool::Address;

/// Inputs that are worked on at a time: of sixteen rows of `x`, 16 KiB.
const DEPTH: usize = 256;

/// From one widened row of the weight to the next, in f32: rows that lie a power of two apart would push each other out of
/// the first-level cache.
const STRIDE: usize = DEPTH + 16;

/// Outputs that a thread works on at a time, at most: 102 KiB of a widened weight, and of sums, for 512 rows of `x`, 192 KiB.
const BLOCK: usize = 96;

/// Rows of `x` whose sums a thread has at a time.
const X_ROWS: usize = 512;

/// A weight that is widened where it is read.
pub(crate) trait Weights: Sync {
    /// Writes the weights of an output from an input on, as many as there is room for and, if there are fewer, those.
    fn read(&self, output: usize, input: usize, to: &mut [f32]);

    /// Where an output's weight for an input lies in memory, to be asked for ahead of [`read`](Self::read).
    fn place(&self, output: usize, input: usize) -> *const u8;
}

/// Computes a layer.
///
/// # Safety
/// The processor has AVX2 and FMA; `x` and `out` are of the shape's sizes, and `weight` has as many rows and columns as the
/// shape says.
pub(crate) unsafe fn linear<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &impl Weights,
    out: &mut [O],
) {
    let LinearShape { inputs, outputs, .. } = shape;
    for (x, out) in x.chunks(X_ROWS * inputs).zip(out.chunks_mut(X_ROWS * outputs)) {
        let rows = x.len() / inputs;
        let shape = LinearShape { rows, ..shape };
        // SAFETY: the caller's promise, passed on.
        unsafe { some_rows(pool, shape, x, weight, out) };
    }
}

/// Computes a layer of at most [`X_ROWS`] rows.
///
/// # Safety
/// As [`linear`].
unsafe fn some_rows<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &impl Weights,
    out: &mut [O],
) {
    const { assert!(BLOCK.is_multiple_of(tile::OUTPUTS)) };
    let LinearShape { inputs, outputs, .. } = shape;
    // The same number of blocks for each thread.
    let blocks = outputs.div_ceil(BLOCK).next_multiple_of(pool.threads());
    let width = outputs.div_ceil(blocks).next_multiple_of(tile::OUTPUTS);
    let out = Address(out.as_mut_ptr());
    // SAFETY: the caller's promise.
    unsafe {
        Transposed::with(pool, x, inputs, DEPTH, |transposed| {
            let layer = Layer { shape, x: transposed, weight, out: &out };
            pool.run(outputs.div_ceil(width), &|block| {
                layer.block(block * width, ((block + 1) * width).min(outputs));
            });
        });
    }
}

struct Layer<'a, W, O> {
    shape: LinearShape,
    x: &'a Transposed<'a>,
    weight: &'a W,
    out: &'a Address<O>,
}

/// What a thread works in.
struct Scratch {
    /// A block of the weight.
    weight: Vec<f32>,
    /// `[panel of x][tile of outputs]`.
    sums: Vec<Tile>,
}

impl<W: Weights, O: Element> Layer<'_, W, O> {
    /// Computes some outputs, at most [`BLOCK`].
    ///
    /// # Safety
    /// As [`linear`]; no other thread has these outputs.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn block(&self, first: usize, end: usize) {
        thread_local! {
            // Kept from call to call: fresh memory costs a fault a page.
            static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { weight: Vec::new(), sums: Vec::new() }) };
        }
        let (panels, tiles) = (self.x.panels, (end - first).div_ceil(tile::OUTPUTS));
        SCRATCH.with_borrow_mut(|Scratch { weight, sums }| {
            weight.resize(BLOCK * STRIDE, 0.0);
            // Not cleared: the first block of inputs does not read them.
            sums.resize((panels * tiles).max(sums.len()), tile::ZERO);
            let sums = sums.get_mut(..panels * tiles).unwrap_or_default();
            // SAFETY: the caller's promise.
            unsafe {
                for block in 0..self.shape.inputs.div_ceil(DEPTH) {
                    self.widen(first..end, block * DEPTH, weight);
                    for (panel, sums) in sums.chunks_mut(tiles).enumerate() {
                        let x = self.x.panel(block, panel);
                        for (tile, (sums, weight)) in
                            sums.iter_mut().zip(weight.chunks(tile::OUTPUTS * STRIDE)).enumerate()
                        {
                            let ask = |step: usize| {
                                let input = (block + 1) * DEPTH + step;
                                if panel == 0 && input < self.shape.inputs {
                                    self.ask_for(first + tile * tile::OUTPUTS, input);
                                }
                            };
                            tile::multiply::<STRIDE, 1>(x, weight, sums, block == 0, ask);
                        }
                    }
                }
                for (panel, sums) in sums.chunks(tiles).enumerate() {
                    self.round(first..end, panel, sums);
                }
            }
        });
    }

    /// Reads weights from an input on; of outputs that are missing in a tile, whatever there was: nobody looks at their sums.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn widen(&self, outputs: Range<usize>, input: usize, to: &mut [f32]) {
        let width = DEPTH.min(self.shape.inputs - input);
        for (output, to) in outputs.zip(to.chunks_mut(STRIDE)) {
            self.weight.read(output, input, to.get_mut(..width).unwrap_or_default());
        }
    }

    /// Asks for what holds the weights of a tile for an input.
    #[inline(always)]
    fn ask_for(&self, first: usize, input: usize) {
        for output in first..first + tile::OUTPUTS {
            // SAFETY: every processor of the architecture has the instruction, which changes nothing but caches. The address
            // may be nobody's.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.weight.place(output, input).cast()) };
        }
    }

    /// Rounds the sums of a panel of rows into the result.
    ///
    /// # Safety
    /// As [`block`](Self::block).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn round(&self, outputs: Range<usize>, panel: usize, sums: &[Tile]) {
        let first_row = panel * panel::ROWS;
        let rows = panel::ROWS.min(self.shape.rows - first_row);
        tile::each_row(sums, rows, |row, first, sums| {
            let Some(count) = outputs.len().checked_sub(first) else { return };
            // SAFETY: the caller's promise, for as many elements of the row.
            let out = unsafe {
                let at = (first_row + row) * self.shape.outputs + outputs.start + first;
                std::slice::from_raw_parts_mut(self.out.get().add(at), count.min(LANES))
            };
            if let Some(out) = out.first_chunk_mut::<LANES>() {
                *out = sums.map(O::round);
            } else {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = O::round(sum);
                }
            }
        });
    }
}
