//! What kernels share of AVX2: registers of eight f32.

pub(crate) mod panel;
pub(crate) mod tile;

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_and_si256,
    _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_extractf128_ps, _mm256_permute2f128_ps,
    _mm256_set1_epi32, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

/// f32 of a register.
pub(crate) const LANES: usize = 8;

/// Sixteen bf16 as f32: those at even places, then those at odd places, with nothing moved from lane to lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn even_and_odd(bf16s: __m256i) -> [__m256; 2] {
    let odd = _mm256_and_si256(bf16s, _mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
    [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(bf16s)), _mm256_castsi256_ps(odd)]
}

/// The sum of a register.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn total(sum: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Eight rows of eight as eight columns.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn transpose(rows: [__m256; LANES]) -> [__m256; LANES] {
    let mut pairs = rows;
    for i in (0..LANES).step_by(2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    // Each 128 bits hold one column of four rows.
    const LOWER: i32 = 0x44;
    const UPPER: i32 = 0xee;
    let mut fours = pairs;
    for i in (0..LANES).step_by(4) {
        fours[i] = _mm256_shuffle_ps::<LOWER>(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm256_shuffle_ps::<UPPER>(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm256_shuffle_ps::<LOWER>(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm256_shuffle_ps::<UPPER>(pairs[i + 1], pairs[i + 3]);
    }
    let mut columns = fours;
    for i in 0..LANES / 2 {
        columns[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
        columns[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
    }
    columns
}
