//! The softmax of 16 rows, a lane each, over keys that come a block at a time. Source: Milakov and Gimelshein,
//! "Online normalizer calculation for softmax", 2018.

use std::arch::x86_64::{
    __m512, __mmask16, _mm512_abs_ps, _mm512_add_ps, _mm512_and_epi32, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cmpge_epi32_mask, _mm512_cmplt_epi32_mask, _mm512_cmpneq_ps_mask,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_load_ps, _mm512_loadu_epi32, _mm512_loadu_ps,
    _mm512_mask_blend_ps, _mm512_maskz_mul_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_or_epi32,
    _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_store_ps, _mm512_storeu_ps, _mm512_sub_epi32, _mm512_sub_ps,
};

use super::super::AttentionNumbers;
use super::super::lanes::{Keys, Lanes, scale_of};
use super::super::sight::Sight;
use crate::exponential::{LN_2_HIGH, LN_2_LOW, SERIES};
use crate::tiles::{Sums, TILE};

impl Lanes {
    /// Makes weights of products of keys and these rows, and returns by how much what was weighed before has to shrink.
    /// `scores` are bands of 32 keys; the rows are those of the tiles `half` and `2 + half`. Weights are those of codes of
    /// values: times their scales.
    #[target_feature(enable = "avx512f")]
    pub(super) fn weigh_tiles(
        &mut self,
        numbers: AttentionNumbers,
        scores: &mut [[Sums; 4]],
        half: usize,
        keys: Keys<'_>,
    ) -> [f32; TILE] {
        // SAFETY: each of these is 16 numbers; the loads need no alignment.
        let (positions, before, totals) = unsafe {
            (
                _mm512_loadu_epi32(self.positions.as_ptr()),
                _mm512_loadu_ps(self.greatest.as_ptr()),
                _mm512_loadu_ps(self.totals.as_ptr()),
            )
        };
        let window = _mm512_set1_epi32(numbers.window.unwrap_or(i32::MAX));
        let nothing = _mm512_set1_ps(f32::NEG_INFINITY);
        let mut greatest = before;
        for (band, tiles) in scores.iter_mut().enumerate() {
            for side in 0..2 {
                for (row, scores) in tiles[2 * side + half].0.iter_mut().enumerate() {
                    // Behind the last key there are zeros.
                    let index = (2 * band + side) * TILE + row;
                    let key = keys.positions.get(index).copied().unwrap_or(-1);
                    let scale = numbers.scale * scale_of(keys.key_scales, index);
                    // SAFETY: a row of a tile is 64 bytes and aligned to them.
                    let mut score = unsafe { _mm512_load_ps(scores.as_ptr()) };
                    score = _mm512_mul_ps(score, _mm512_set1_ps(scale));
                    if let Some(cap) = numbers.softcap {
                        let cap = _mm512_set1_ps(cap);
                        score = _mm512_mul_ps(tanh(_mm512_div_ps(score, cap)), cap);
                    }
                    if key < 0 {
                        score = nothing;
                    } else if keys.sight != Sight::All {
                        let key = _mm512_set1_epi32(key);
                        let age = _mm512_sub_epi32(positions, key);
                        let seen: __mmask16 =
                            _mm512_cmpge_epi32_mask(positions, key) & _mm512_cmplt_epi32_mask(age, window);
                        score = _mm512_mask_blend_ps(seen, nothing, score);
                    }
                    // Of a NaN and a number, the second.
                    greatest = _mm512_max_ps(score, greatest);
                    // SAFETY: as above.
                    unsafe { _mm512_store_ps(scores.as_mut_ptr(), score) };
                }
            }
        }
        // Where nothing was seen so far, weights are 0 whatever is taken from their scores but infinity.
        let shift = _mm512_max_ps(greatest, _mm512_set1_ps(f32::MIN));
        let shrink = exp(_mm512_sub_ps(before, shift));
        let mut totals = _mm512_mul_ps(totals, shrink);
        for (band, tiles) in scores.iter_mut().enumerate() {
            for side in 0..2 {
                for (row, scores) in tiles[2 * side + half].0.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let score = unsafe { _mm512_load_ps(scores.as_ptr()) };
                    let mut weight = exp(_mm512_sub_ps(score, shift));
                    totals = _mm512_add_ps(totals, weight);
                    if keys.value_scales.is_some() {
                        let scale = scale_of(keys.value_scales, (2 * band + side) * TILE + row);
                        let is_some = _mm512_cmpneq_ps_mask(weight, _mm512_setzero_ps());
                        // What has no weight has none, whatever its scale.
                        weight = _mm512_maskz_mul_ps(is_some, weight, _mm512_set1_ps(scale));
                    }
                    // SAFETY: as above.
                    unsafe { _mm512_store_ps(scores.as_mut_ptr(), weight) };
                }
            }
        }
        let mut factors = [0.0; TILE];
        // SAFETY: each of these is 16 numbers; the stores need no alignment.
        unsafe {
            _mm512_storeu_ps(self.greatest.as_mut_ptr(), greatest);
            _mm512_storeu_ps(self.totals.as_mut_ptr(), totals);
            _mm512_storeu_ps(factors.as_mut_ptr(), shrink);
        }
        factors
    }
}

/// `exp(x)` for `x` up to 88, to two units in the last place; 0 for anything far enough below, and NaN for NaN. See
/// [`exponential`](super::super::exponential) for how.
#[target_feature(enable = "avx512f")]
#[inline]
fn exp(x: __m512) -> __m512 {
    const NEAREST: i32 = 8;
    // Of a NaN and a number, the second.
    let x = _mm512_max_ps(_mm512_set1_ps(-150.0), x);
    let n = _mm512_roundscale_ps::<NEAREST>(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)));
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_HIGH), x);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_LOW), r);
    let mut series = _mm512_set1_ps(SERIES[0]);
    for &coefficient in &SERIES[1..] {
        series = _mm512_fmadd_ps(series, r, _mm512_set1_ps(coefficient));
    }
    let fraction = _mm512_fmadd_ps(_mm512_mul_ps(series, r), r, _mm512_add_ps(r, _mm512_set1_ps(1.0)));
    _mm512_scalef_ps(fraction, n)
}

/// `tanh(x)`, to 2e-7 absolutely; NaN for NaN.
#[target_feature(enable = "avx512f")]
#[inline]
fn tanh(x: __m512) -> __m512 {
    let one = _mm512_set1_ps(1.0);
    let size = _mm512_min_ps(_mm512_set1_ps(20.0), _mm512_abs_ps(x));
    let power = exp(_mm512_add_ps(size, size));
    let magnitude = _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0), _mm512_add_ps(power, one)));
    let sign = _mm512_and_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MIN));
    _mm512_castsi512_ps(_mm512_or_epi32(_mm512_castps_si512(magnitude), sign))
}
