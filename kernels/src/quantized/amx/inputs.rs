//! `x` in the order in which blocks of codes are decoded.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_loadu_si512,
    _mm512_mask_blend_epi16, _mm512_mul_ps, _mm512_or_si512, _mm512_permutex2var_epi16, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi32,
};
use std::marker::PhantomData;

use half::bf16;

use super::blocks::{Block, VECTOR};
use crate::quantized::avx512::bytes::LANES;

/// Elements of the largest block.
const LARGEST: usize = 4 * VECTOR;

/// How the elements of a block of `x` are put in order.
pub(super) struct Order<B, const V: usize> {
    /// For each vector, where its elements are in two registers of `x`.
    indices: [[u16; VECTOR]; V],
    /// For each vector, which of its elements are in the third and fourth.
    upper: [u32; V],
    _block: PhantomData<B>,
}

impl<const V: usize, B: Block<V>> Order<B, V> {
    /// The order of [`Block::weights`].
    pub(super) fn of_weights() -> Self {
        Self::of(|vector, place| B::SPAN * (place % LANES) + 2 * vector + place / LANES)
    }

    /// The order of one lane after the other, each with the vectors of [`Block::codes`] one after the other.
    pub(super) fn of_lanes() -> Self {
        Self::of(|vector, place| {
            let (pair, half) = (vector * LANES + place / 2, place % 2);
            B::SPAN * (pair / V) + B::element(pair % V, half)
        })
    }

    fn of(element: fn(usize, usize) -> usize) -> Self {
        const PAIR: usize = 2 * VECTOR;
        let mut order = Self { indices: [[0; VECTOR]; V], upper: [0; V], _block: PhantomData };
        for (vector, (indices, upper)) in order.indices.iter_mut().zip(&mut order.upper).enumerate() {
            for (place, index) in indices.iter_mut().enumerate() {
                let element = element(vector, place);
                *index = (element % PAIR) as u16;
                *upper |= u32::from(element >= PAIR) << place;
            }
        }
        order
    }

    /// Block `index` of a row of `x` in this order, times [`Block::X_FACTOR`], zeros behind the row's end.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn block(&self, x: &[bf16], index: usize) -> [__m512i; V] {
        let x = x.get(index * B::INPUTS..).unwrap_or_default();
        let mut last = [bf16::ZERO; LARGEST];
        let x = match x.get(..B::INPUTS) {
            Some(x) => x,
            None => {
                for (to, x) in last.iter_mut().zip(x) {
                    *to = *x;
                }
                &last
            }
        };
        let mut registers = [_mm512_setzero_si512(); V];
        for (register, x) in registers.iter_mut().zip(x.as_chunks::<VECTOR>().0) {
            // SAFETY: 32 bf16 are a register.
            *register = unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
        }
        let mut vectors = [_mm512_setzero_si512(); V];
        for (vector, (indices, upper)) in vectors.iter_mut().zip(self.indices.iter().zip(self.upper)) {
            // SAFETY: 32 indices are a register.
            let indices = unsafe { _mm512_loadu_si512(indices.as_ptr().cast()) };
            for (pair, masks) in registers.as_chunks::<2>().0.iter().zip([u32::MAX, upper]) {
                let picked = _mm512_permutex2var_epi16(pair[0], indices, pair[1]);
                *vector = _mm512_mask_blend_epi16(masks, *vector, picked);
            }
            if B::X_FACTOR != 1.0 {
                *vector = scaled(*vector, B::X_FACTOR);
            }
        }
        vectors
    }
}

/// 32 bf16 times a power of two: exact, where the result is not too small for it.
#[inline]
#[target_feature(enable = "avx512f")]
fn scaled(vector: __m512i, factor: f32) -> __m512i {
    let (factor, upper) = (_mm512_set1_ps(factor), _mm512_set1_epi32(0xffff_0000_u32 as i32));
    let even = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(vector)), factor);
    let odd = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(vector, upper)), factor);
    let (even, odd) = (_mm512_castps_si512(even), _mm512_castps_si512(odd));
    _mm512_or_si512(_mm512_srli_epi32::<16>(even), _mm512_and_si512(odd, upper))
}
