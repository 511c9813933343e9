//! Few rows: the weight is read once, and widened in registers.
//!
//! One or two rows read it from one end to the other, some outputs side by side. More read it in pieces of some inputs, so that
//! these of `x` stay in the first-level cache, and keep a register of sums for each result from piece to piece.

use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_setzero_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use half::bf16;

use crate::Pool;
use crate::avx2::{LANES, even_and_odd, total};
use crate::dot::wide;
use crate::linear::{Block, Element, LinearShape, by_blocks, rows_of};

/// Rows up to which this is faster than to widen the weight in memory.
pub(super) const MAX_ROWS: usize = 16;

/// Elements that are widened at a time.
const STEP: usize = 2 * LANES;

/// `x` that a step of the weight meets: what is at even places, and what is at odd places. A cache line: a register that lies
/// across two takes twice as long to read.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Step([[f32; LANES]; 2]);

/// Steps that are taken together.
const RUN: usize = 4;

/// Steps of a cache line of the weight.
const STEPS_OF_LINE: usize = 2;

/// Rows up to which the weight is read from one end to the other.
const ROWS_OF_WHOLE_INPUTS: usize = 2;

/// Steps of all rows of `x` together that stay in the first-level cache: 24 KiB.
const STEPS_IN_CACHE: usize = 448;

/// How far ahead the weight is then asked for, in elements: the latency of memory at the speed of one core.
const AHEAD: usize = 512;

/// What is asked for while the products of some outputs are added up.
#[derive(Clone, Copy)]
enum Next {
    /// [`AHEAD`] of where these outputs are read, and of the outputs after them once their ends are reached.
    Along,
    /// What lies so many elements after where they are read.
    Behind(usize),
}

/// Computes a layer of up to [`MAX_ROWS`] rows.
///
/// # Safety
/// The processor has AVX2 and FMA, and the slices are of the shape's sizes.
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [O],
) {
    let (rows, steps) = (shape.rows, shape.inputs.div_ceil(STEP));
    let pieces = if rows <= ROWS_OF_WHOLE_INPUTS { 1 } else { (rows * steps).div_ceil(STEPS_IN_CACHE) };
    let depth = steps.div_ceil(pieces);
    // Piece by piece, row by row; zeros behind each row that is not whole steps.
    let mut wide_x = vec![Step([[0.0; LANES]; 2]); rows * steps];
    for (index, piece) in wide_x.chunks_mut(rows * depth).enumerate() {
        let depth_here = piece.len() / rows;
        for (to, x) in piece.chunks_mut(depth_here).zip(x.chunks(shape.inputs)) {
            let x = x.get(index * depth * STEP..).unwrap_or_default();
            for (to, x) in to.iter_mut().zip(x.chunks(STEP)) {
                for (place, x) in x.iter().enumerate() {
                    to.0[place % 2][place / 2] = wide(*x);
                }
            }
        }
    }
    by_blocks(pool, shape, x, weight, out, |block| {
        // SAFETY: the caller's promise.
        unsafe { of_block(block, &wide_x, depth) }
    });
}

/// Computes a block. Tiles have as many sums as registers hold beside what they are made of.
#[target_feature(enable = "avx2,fma")]
fn of_block<O: Element>(mut block: Block<'_, O>, x: &[Step], depth: usize) {
    match block.shape.rows {
        1 => of_rows::<1, 4, 2, O>(&mut block, x, depth),
        2 => of_rows::<2, 4, 1, O>(&mut block, x, depth),
        3 => of_rows::<3, 4, 1, O>(&mut block, x, depth),
        5 | 6 => of_rows::<6, 2, 1, O>(&mut block, x, depth),
        _ => of_rows::<4, 3, 1, O>(&mut block, x, depth),
    }
}

/// Computes a block, `R` rows and `N` outputs at a time, with `H` sums of each.
#[target_feature(enable = "avx2,fma")]
fn of_rows<const R: usize, const N: usize, const H: usize, O: Element>(
    block: &mut Block<'_, O>,
    x: &[Step],
    depth: usize,
) {
    let LinearShape { rows, inputs, outputs } = block.shape;
    let steps = inputs.div_ceil(STEP);
    let (tiles, row_tiles) = (outputs.div_ceil(N), rows.div_ceil(R));
    let mut sums = vec![[[[0.0; LANES]; N]; R]; tiles * row_tiles];
    for (index, x) in x.chunks(rows * depth).enumerate() {
        let piece = index * depth..index * depth + x.len() / rows;
        for (tile, (weight, sums)) in
            block.weight.chunks(N * inputs).zip(sums.chunks_mut(row_tiles)).enumerate()
        {
            for (row_tile, sums) in sums.iter_mut().enumerate() {
                // Where there are fewer rows, the last one is computed again and not stored.
                let mut x_rows = [&[][..]; R];
                for (row, to) in x_rows.iter_mut().enumerate() {
                    *to = &x[(row_tile * R + row).min(rows - 1) * piece.len()..][..piece.len()];
                }
                // After this piece of these outputs comes that of the others and, at the end, the first one's next.
                let next = match () {
                    () if depth >= steps => Next::Along,
                    () if tile + 1 < tiles => Next::Behind(N * inputs),
                    () => Next::Behind((depth * STEP).wrapping_sub(tile * N * inputs)),
                };
                add_piece::<R, N, H>(sums, x_rows, weight, inputs, piece.clone(), next);
            }
        }
    }
    for (tile, sums) in sums.chunks(row_tiles).enumerate() {
        for (row, sums) in sums.as_flattened().iter().enumerate().take(rows) {
            for (output, sum) in sums.iter().enumerate().take(outputs - tile * N) {
                // SAFETY: eight f32.
                block.out.set(row, tile * N + output, total(unsafe { _mm256_loadu_ps(sum.as_ptr()) }));
            }
        }
    }
}

/// Adds the products of some steps of `R` rows and up to `N` outputs; where there are fewer, of the last one again.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_piece<const R: usize, const N: usize, const H: usize>(
    to: &mut [[[f32; LANES]; N]; R],
    x: [&[Step]; R],
    weight: &[bf16],
    inputs: usize,
    piece: Range<usize>,
    next: Next,
) {
    let weight: [&[bf16]; N] = rows_of(weight, inputs);
    let whole = piece.end.min(inputs / STEP);
    let mut sums = [[[_mm256_setzero_ps(); H]; N]; R];
    for (sums, to) in sums.as_flattened_mut().iter_mut().zip(to.as_flattened()) {
        // SAFETY: eight f32.
        sums[0] = unsafe { _mm256_loadu_ps(to.as_ptr()) };
    }
    let places = weight.map(<[bf16]>::as_ptr);
    for first in (piece.start..whole).step_by(RUN) {
        let ahead = match next {
            // Behind the end of a row lies one that has its turn at the same time.
            Next::Along if first * STEP + AHEAD >= inputs => first * STEP + AHEAD + (N - 1) * inputs,
            Next::Along => first * STEP + AHEAD,
            Next::Behind(distance) => (first * STEP).wrapping_add(distance),
        };
        for place in places {
            for line in 0..RUN / STEPS_OF_LINE {
                // Beyond the weight's end the address may be nobody's: a prefetch of it does nothing.
                _mm_prefetch::<_MM_HINT_T0>(
                    place.wrapping_add(ahead.wrapping_add(line * STEPS_OF_LINE * STEP)).cast(),
                );
            }
        }
        // SAFETY: sixteen elements of each row for each of the steps, and as many steps of `x`.
        unsafe { add(&mut sums, x, piece.start, first..(first + RUN).min(whole), places) };
    }
    if whole < piece.end {
        let mut padded = [[bf16::ZERO; STEP]; N];
        for (to, from) in padded.iter_mut().zip(weight) {
            for (to, from) in to.iter_mut().zip(&from[whole * STEP..]) {
                *to = *from;
            }
        }
        let places = padded.each_ref().map(|row| row.as_ptr().wrapping_sub(whole * STEP));
        // SAFETY: as above.
        unsafe { add(&mut sums, x, piece.start, whole..whole + 1, places) };
    }
    for (sums, to) in sums.as_flattened().iter().zip(to.as_flattened_mut()) {
        let sum = sums.iter().skip(1).fold(sums[0], |sum, more| _mm256_add_ps(sum, *more));
        // SAFETY: eight f32.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), sum) };
    }
}

/// Adds the products of some steps: of the even places first, then, of what is in the cache now, of the odd ones, so that
/// registers need not hold both.
///
/// # Safety
/// The processor has AVX2 and FMA. Each weight has sixteen elements for each step, and `x` has them.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add<const R: usize, const N: usize, const H: usize>(
    sums: &mut [[[__m256; H]; N]; R],
    x: [&[Step]; R],
    start: usize,
    steps: Range<usize>,
    weight: [*const bf16; N],
) {
    for half in 0..2 {
        for step in steps.clone() {
            let mut weights = [_mm256_setzero_ps(); N];
            for (to, weight) in weights.iter_mut().zip(weight) {
                // SAFETY: the caller's promise.
                *to = even_and_odd(unsafe { _mm256_loadu_si256(weight.wrapping_add(step * STEP).cast()) })
                    [half];
            }
            for (sums, x) in sums.iter_mut().zip(x) {
                // SAFETY: the caller's promise.
                let x = unsafe { _mm256_loadu_ps(x.get_unchecked(step - start).0[half].as_ptr()) };
                for (sums, weight) in sums.iter_mut().zip(weights) {
                    let sum = &mut sums[half % H];
                    *sum = _mm256_fmadd_ps(x, weight, *sum);
                }
            }
        }
    }
}
