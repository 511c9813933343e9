//! AVX2: codes become f32 in registers, in the order in which they lie.

use std::arch::x86_64::{
    __m128i, __m256, _mm_add_ps, _mm_add_ss, _mm_and_si128, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm_set1_epi8, _mm_srli_epi16, _mm_srli_si128, _mm_sub_epi8, _mm_unpackhi_epi8,
    _mm_unpacklo_epi8, _mm256_add_ps, _mm256_castps256_ps128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
};
use std::ops::Range;

use half::bf16;

use super::by_outputs;
use super::layer::Layer;
use super::ordered::{BLOCK, Form, Operands, VECTORS};
use super::output::Output;
use crate::Pool;
use crate::dot::wide;

/// Computes a layer.
///
/// # Safety
/// The processor has AVX2 and FMA, and [`takes`](super::ordered::takes) says yes.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    let operands = Operands::new(layer);
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { outputs(&operands, part, sums) });
}

#[target_feature(enable = "avx2,fma")]
fn outputs(operands: &Operands<'_, Avx2>, part: Range<usize>, sums: &mut [f32]) {
    // SAFETY: the processor has what is asked for.
    unsafe { operands.outputs(part, sums) };
}

struct Avx2;

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
        // SAFETY: the caller's promise.
        let halves = unsafe { [_mm_loadu_si128(codes.cast()), _mm_loadu_si128(codes.add(BLOCK / 2).cast())] };
        to_f32(halves)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn int4(codes: *const u8) -> [__m256; VECTORS] {
        // SAFETY: the caller's promise.
        let bytes = unsafe { _mm_loadu_si128(codes.cast()) };
        let nibbles = _mm_set1_epi8(15);
        // The first of two codes is in the lower nibble.
        let (even, odd) = (_mm_and_si128(bytes, nibbles), _mm_and_si128(_mm_srli_epi16::<4>(bytes), nibbles));
        let halves = [_mm_unpacklo_epi8(even, odd), _mm_unpackhi_epi8(even, odd)];
        to_f32(halves.map(|codes| _mm_sub_epi8(codes, _mm_set1_epi8(8))))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add(sum: __m256, x: *const f32, weights: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        _mm256_fmadd_ps(unsafe { _mm256_loadu_ps(x) }, weights, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_scaled(total: __m256, [a, b, c, d]: [__m256; VECTORS], scale: f32) -> __m256 {
        let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
        _mm256_fmadd_ps(sum, _mm256_set1_ps(scale), total)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn total(sum: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

/// Bytes with signs.
#[inline]
#[target_feature(enable = "avx2")]
fn to_f32([first, second]: [__m128i; 2]) -> [__m256; VECTORS] {
    [first, _mm_srli_si128::<8>(first), second, _mm_srli_si128::<8>(second)]
        .map(|codes| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)))
}
