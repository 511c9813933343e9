//! Sums of outputs by rows, rounded into a result of rows by outputs.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_castps_si512, _mm512_cvtne2ps_pbh, _mm512_load_ps,
    _mm512_permutexvar_epi16, _mm512_set_epi16, _mm512_storeu_si512,
};

use half::bf16;

use super::{Sums, TILE, transpose};

/// Stores the sums of 16 and 16 outputs, each by 16 rows, into `rows` rows of 32 elements, `stride` elements from one row
/// to the next.
///
/// # Safety
/// The processor has AVX-512; the elements are within what this thread may write.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn to_f32(sums: [&Sums; 2], rows: usize, out: *mut f32, stride: usize) {
    for (index, sums) in sums.into_iter().enumerate() {
        let turned = transpose(std::array::from_fn(|output| _mm512_castps_si512(load(sums, output))));
        for (row, turned) in turned.into_iter().enumerate().take(rows) {
            // SAFETY: the caller's promise: 16 elements of the row.
            unsafe { _mm512_storeu_si512(out.add(row * stride + index * TILE).cast(), turned) };
        }
    }
}

/// The same, rounded to bf16. Sums of tile products are never too small for the instruction, which takes such for zero.
///
/// # Safety
/// As [`to_f32`]; and AVX-512 BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) unsafe fn to_bf16(sums: [&Sums; 2], rows: usize, out: *mut bf16, stride: usize) {
    // Of two outputs the first's elements become the lower halves of words.
    let interleave = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18,
        2, 17, 1, 16, 0,
    );
    let turned = transpose(std::array::from_fn(|pair| {
        let (sums, output) = (sums[pair / 8], pair % 8 * 2);
        let rounded = _mm512_cvtne2ps_pbh(load(sums, output + 1), load(sums, output));
        // SAFETY: both are 512 bits.
        _mm512_permutexvar_epi16(interleave, unsafe { std::mem::transmute::<__m512bh, __m512i>(rounded) })
    }));
    for (row, turned) in turned.into_iter().enumerate().take(rows) {
        // SAFETY: the caller's promise: 32 elements of the row.
        unsafe { _mm512_storeu_si512(out.add(row * stride).cast(), turned) };
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(sums: &Sums, output: usize) -> __m512 {
    // SAFETY: a row of a tile is 64 bytes and aligned to them.
    unsafe { _mm512_load_ps(sums.0[output].as_ptr()) }
}
