//! Dot products of bf16 pairs with AVX-512, for few rows: the weight is read once, from one end to the other.

use std::arch::x86_64::{
    __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_dpbf16_ps, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi16, _mm512_reduce_add_ps, _mm512_setzero_ps,
};

use half::bf16;

use super::{Block, Element, OUTPUTS_AT_A_TIME, rows_of};

/// Elements of a register.
const LANES: usize = 32;

/// Rows of `x` that share one look at the weight.
const ROWS_AT_A_TIME: usize = 4;

/// How far ahead the weight is asked for, in elements: the latency of memory at the speed of one core.
const AHEAD: usize = 512;

/// Computes a block.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn rows<O: Element>(mut block: Block<'_, O>) {
    let inputs = block.shape.inputs;
    for (group, weight) in block.weight.chunks(OUTPUTS_AT_A_TIME * inputs).enumerate() {
        let column = group * OUTPUTS_AT_A_TIME;
        for (rows, x) in block.x.chunks(ROWS_AT_A_TIME * inputs).enumerate() {
            let row = rows * ROWS_AT_A_TIME;
            match x.len() / inputs {
                1 => tile::<1, O>(&mut block.out, (row, column), x, weight, inputs),
                2 => tile::<2, O>(&mut block.out, (row, column), x, weight, inputs),
                3 => tile::<3, O>(&mut block.out, (row, column), x, weight, inputs),
                _ => tile::<ROWS_AT_A_TIME, O>(&mut block.out, (row, column), x, weight, inputs),
            }
        }
    }
}

/// `R` rows by up to [`OUTPUTS_AT_A_TIME`] outputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn tile<const R: usize, O: Element>(
    out: &mut super::Columns<'_, O>,
    (row, column): (usize, usize),
    x: &[bf16],
    weight: &[bf16],
    inputs: usize,
) {
    let outputs = weight.len() / inputs;
    let x: [&[bf16]; R] = rows_of(x, inputs);
    // Where there are fewer outputs, the last one is computed again and not stored.
    let weight: [&[bf16]; OUTPUTS_AT_A_TIME] = rows_of(weight, inputs);
    let mut sums = [[_mm512_setzero_ps(); OUTPUTS_AT_A_TIME]; R];
    let whole = inputs / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        let weight: [__m512bh; OUTPUTS_AT_A_TIME] = std::array::from_fn(|o| {
            // Beyond the weight's end the address may be nobody's: a prefetch of it does nothing.
            _mm_prefetch::<_MM_HINT_T0>(weight[o].as_ptr().wrapping_add(at + AHEAD).cast());
            // SAFETY: `at + LANES` elements lie within the row.
            unsafe { load(weight[o], at) }
        });
        for (sums, x) in sums.iter_mut().zip(x) {
            // SAFETY: as above.
            let x = unsafe { load(x, at) };
            for (sum, weight) in sums.iter_mut().zip(weight) {
                *sum = _mm512_dpbf16_ps(*sum, x, weight);
            }
        }
    }
    if whole < inputs {
        let mask = (1u32 << (inputs - whole)) - 1;
        for (sums, x) in sums.iter_mut().zip(x) {
            // SAFETY: the mask has a bit for each element that is left.
            let x = unsafe { load_some(x, whole, mask) };
            for (sum, weight) in sums.iter_mut().zip(weight) {
                // SAFETY: as above.
                *sum = _mm512_dpbf16_ps(*sum, x, unsafe { load_some(weight, whole, mask) });
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (o, sum) in sums.iter().enumerate().take(outputs) {
            out.set(row + r, column + o, _mm512_reduce_add_ps(*sum));
        }
    }
}

/// # Safety
/// `at + LANES` elements lie within the slice.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load(slice: &[bf16], at: usize) -> __m512bh {
    // SAFETY: the caller's promise; the load needs no alignment.
    let bits = unsafe { _mm512_loadu_si512(slice.as_ptr().add(at).cast::<__m512i>()) };
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
}

/// # Safety
/// As many elements as the mask's highest bit says lie behind `at` within the slice.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn load_some(slice: &[bf16], at: usize, mask: u32) -> __m512bh {
    // SAFETY: the caller's promise; what is masked is not read.
    let bits = unsafe { _mm512_maskz_loadu_epi16(mask, slice.as_ptr().add(at).cast()) };
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
}
