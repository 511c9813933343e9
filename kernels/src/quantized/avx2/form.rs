//! Codes become f32 in registers.

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_epi8,
    _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_shuffle_epi8, _mm256_srlv_epi32,
    _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use half::bf16;

use crate::avx2::{even_and_odd, total};
use crate::dot::wide;
use crate::quantized::ordered::{Form, OF_NIBBLE, VECTOR, VECTORS};

/// AVX2 with products of f32.
pub(super) struct Avx2;

impl Form for Avx2 {
    type X = f32;
    type Weights = __m256;
    type Sum = __m256;

    #[inline(always)]
    fn x(x: bf16) -> f32 {
        wide(x)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> __m256 {
        _mm256_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn int8(codes: *const u8) -> [__m256; VECTORS] {
        let mut vectors = [_mm256_setzero_ps(); VECTORS];
        for (index, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let eight = unsafe { _mm_loadl_epi64(codes.add(index * VECTOR).cast()) };
            *vector = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
        }
        vectors
    }

    /// Even elements are in the lower halves of registers, odd ones in the upper.
    fn place_of_int4(place: usize) -> usize {
        let (vector, lane) = (place / VECTOR, place % VECTOR);
        // Of the lower or upper nibbles, the first or second eight, and of these those at even or odd places.
        let (nibble, eight, parity) = (lane / 4, vector / 2, vector % 2);
        2 * (8 * eight + 2 * (lane % 4) + parity) + nibble
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn int4(codes: *const u8) -> [__m256; VECTORS] {
        // SAFETY: the caller's promise, and tables of a register each.
        let (bytes, lows, highs) =
            unsafe { (twice(codes), twice(OF_NIBBLE[0].as_ptr()), twice(OF_NIBBLE[1].as_ptr())) };
        // The first of two codes is in the lower nibble.
        let shifted = _mm256_srlv_epi32(bytes, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
        let nibbles = _mm256_and_si256(shifted, _mm256_set1_epi8(15));
        let (low, high) = (_mm256_shuffle_epi8(lows, nibbles), _mm256_shuffle_epi8(highs, nibbles));
        let [a, b] = even_and_odd(_mm256_unpacklo_epi8(low, high));
        let [c, d] = even_and_odd(_mm256_unpackhi_epi8(low, high));
        [a, b, c, d]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add(sum: __m256, x: *const f32, weights: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        _mm256_fmadd_ps(unsafe { _mm256_loadu_ps(x) }, weights, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_scaled(total: __m256, sum: __m256, scale: f32) -> __m256 {
        _mm256_fmadd_ps(sum, _mm256_set1_ps(scale), total)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn total(sum: __m256) -> f32 {
        total(sum)
    }
}

/// The same 16 bytes in both halves of a register.
///
/// # Safety
/// The processor has AVX2, and may read them.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn twice(bytes: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.cast()) })
}
