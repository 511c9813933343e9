//! Dot products with NEON, for few rows: the weight is read once, from one end to the other.

use std::arch::aarch64::{float32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_f32};

use half::bf16;

use super::{Block, Columns, Element, OUTPUTS_AT_A_TIME, rows_of};
use crate::neon::{Dot, Products, VECTOR, Widened, load};

/// Rows of `x` that share one look at the weight: sixteen sums, half of the registers.
const ROWS_AT_A_TIME: usize = 4;

/// Registers of an operand in one step.
const VECTORS: usize = 2;
const STEP: usize = VECTORS * VECTOR;

/// Rows up to which a row has a sum for each register of a step, so that additions need not wait for each other; more rows
/// are enough by themselves.
const ROWS_OF_SEVERAL_SUMS: usize = 2;

/// Computes a block.
///
/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(super) fn rows<O: Element>(block: Block<'_, O>) {
    // SAFETY: the processor has what is asked for.
    unsafe { compute::<Widened, O>(block) };
}

/// Computes a block with `BFDOT`.
///
/// # Safety
/// The processor has NEON with bf16.
#[target_feature(enable = "neon,bf16")]
pub(super) fn rows_bf16<O: Element>(block: Block<'_, O>) {
    // SAFETY: the processor has what is asked for.
    unsafe { compute::<Dot, O>(block) };
}

/// Inlined into callers with different instructions, which is what makes it two kernels.
///
/// # Safety
/// The processor has what `P` says.
#[inline(always)]
unsafe fn compute<P: Products, O: Element>(mut block: Block<'_, O>) {
    let inputs = block.shape.inputs;
    for (group, weight) in block.weight.chunks(OUTPUTS_AT_A_TIME * inputs).enumerate() {
        let column = group * OUTPUTS_AT_A_TIME;
        for (rows, x) in block.x.chunks(ROWS_AT_A_TIME * inputs).enumerate() {
            let at = (rows * ROWS_AT_A_TIME, column);
            // SAFETY: the caller's promise.
            unsafe {
                match x.len() / inputs {
                    1 => tile::<1, P, O>(&mut block.out, at, x, weight, inputs),
                    2 => tile::<2, P, O>(&mut block.out, at, x, weight, inputs),
                    3 => tile::<3, P, O>(&mut block.out, at, x, weight, inputs),
                    _ => tile::<ROWS_AT_A_TIME, P, O>(&mut block.out, at, x, weight, inputs),
                }
            }
        }
    }
}

/// `R` rows by up to [`OUTPUTS_AT_A_TIME`] outputs.
///
/// # Safety
/// As [`compute`].
#[inline(always)]
unsafe fn tile<const R: usize, P: Products, O: Element>(
    out: &mut Columns<'_, O>,
    (row, column): (usize, usize),
    x: &[bf16],
    weight: &[bf16],
    inputs: usize,
) {
    let outputs = weight.len() / inputs;
    let x: [&[bf16]; R] = rows_of(x, inputs);
    // Where there are fewer outputs, the last one is computed again and not stored.
    let weight: [&[bf16]; OUTPUTS_AT_A_TIME] = rows_of(weight, inputs);
    // SAFETY: every processor of the architecture has NEON.
    let mut sums = [[[unsafe { vdupq_n_f32(0.0) }; VECTORS]; OUTPUTS_AT_A_TIME]; R];
    let whole = inputs / STEP * STEP;
    for at in (0..whole).step_by(STEP) {
        // SAFETY: the caller's promise; a step from `at` on lies within the rows.
        unsafe { step::<R, P>(&mut sums, x, weight, at) };
    }
    if whole < inputs {
        let rest = |row: &[bf16]| {
            let mut padded = [bf16::ZERO; STEP];
            for (to, from) in padded.iter_mut().zip(row.get(whole..).unwrap_or_default()) {
                *to = *from;
            }
            padded
        };
        let (x, weight) = (x.map(rest), weight.map(rest));
        // SAFETY: the caller's promise; the rest is padded to a step.
        unsafe {
            step::<R, P>(&mut sums, x.each_ref().map(|x| &x[..]), weight.each_ref().map(|w| &w[..]), 0)
        };
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (o, [first, second]) in sums.into_iter().enumerate().take(outputs) {
            // SAFETY: every processor of the architecture has NEON.
            out.set(row + r, column + o, unsafe { vaddvq_f32(vaddq_f32(first, second)) });
        }
    }
}

/// Adds the products of a step.
///
/// # Safety
/// As [`compute`]; `at + STEP` elements lie within every row.
#[inline(always)]
unsafe fn step<const R: usize, P: Products>(
    sums: &mut [[[float32x4_t; VECTORS]; OUTPUTS_AT_A_TIME]; R],
    x: [&[bf16]; R],
    weight: [&[bf16]; OUTPUTS_AT_A_TIME],
    at: usize,
) {
    for vector in 0..VECTORS {
        let at = at + vector * VECTOR;
        // SAFETY: the caller's promise.
        let weight = weight.map(|weight| unsafe { load(weight, at) });
        for (sums, x) in sums.iter_mut().zip(x) {
            // SAFETY: the caller's promise.
            let x = unsafe { load(x, at) };
            for (sums, weight) in sums.iter_mut().zip(weight) {
                let sum = &mut sums[if R <= ROWS_OF_SEVERAL_SUMS { vector } else { 0 }];
                // SAFETY: the caller's promise.
                *sum = unsafe { P::add(*sum, x, weight) };
            }
        }
    }
}
