//! Elements of a cache as tiles take them: bf16, which holds codes exactly.

use std::arch::x86_64::{
    __m256i, __m512bh, __m512i, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtne2ps_pbh, _mm512_loadu_si512, _mm512_storeu_si512,
};

use half::bf16;

use crate::dot::Wide;
use crate::tiles::STEP;

/// Elements that become bf16.
pub(in super::super) trait TileElement: Wide + Send + Sync {
    /// The same elements, if they are bf16 as they lie.
    fn in_place(elements: &[Self]) -> Option<&[bf16]>;

    /// 32 elements in bf16.
    ///
    /// # Safety
    /// The processor has AVX-512 with BW and BF16.
    unsafe fn load(elements: &[Self; STEP]) -> __m512i;
}

impl TileElement for bf16 {
    fn in_place(elements: &[Self]) -> Option<&[bf16]> {
        Some(elements)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    unsafe fn load(elements: &[Self; STEP]) -> __m512i {
        // SAFETY: these are 64 bytes; the load needs no alignment.
        unsafe { _mm512_loadu_si512(elements.as_ptr().cast()) }
    }
}

impl TileElement for i8 {
    fn in_place(_elements: &[Self]) -> Option<&[bf16]> {
        None
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    unsafe fn load(elements: &[Self; STEP]) -> __m512i {
        // SAFETY: these are 32 bytes; the load needs no alignment.
        let codes: __m256i = unsafe { _mm256_loadu_si256(elements.as_ptr().cast()) };
        let low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_castsi256_si128(codes)));
        let high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_extracti128_si256::<1>(codes)));
        let rounded: __m512bh = _mm512_cvtne2ps_pbh(high, low);
        // SAFETY: both are 512 bits.
        unsafe { std::mem::transmute::<__m512bh, __m512i>(rounded) }
    }
}

/// Fills `copy` with rows of a multiple of 32 elements, as many as there are, and zeros behind them.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn copy_rows<E: TileElement>(rows: &[E], copy: &mut [bf16]) {
    let (rows, _) = rows.as_chunks::<STEP>();
    let (chunks, _) = copy.as_chunks_mut::<STEP>();
    let whole = rows.len().min(chunks.len());
    for (copy, row) in chunks.iter_mut().zip(rows) {
        // SAFETY: the processor has what this function is compiled for; the chunk is 64 bytes.
        unsafe { _mm512_storeu_si512(copy.as_mut_ptr().cast(), E::load(row)) };
    }
    copy.get_mut(whole * STEP..).unwrap_or_default().fill(bf16::ZERO);
}
