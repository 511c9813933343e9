//! The softmax of a panel's rows, a lane each, over keys that come some at a time. Source: Milakov and Gimelshein,
//! "Online normalizer calculation for softmax", 2018.
//!
//! Loops over lanes, of which the compiler makes registers.

use super::super::AttentionNumbers;
use super::super::lanes::{Keys, Lanes, scale_of};
use super::super::partial::finite;
use super::super::sight::Sight;
use crate::avx2::panel::{Column, ROWS};
use crate::avx2::tile::Tile;
use crate::exponential::fused::{exp, tanh};

impl Lanes {
    /// Makes weights of products of keys and these rows, one column for each key, and returns by how much what was weighed
    /// before has to shrink. Weights are those of codes of values: times their scales.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn weigh_columns(
        &mut self,
        numbers: AttentionNumbers,
        scores: &mut [Column],
        keys: Keys<'_>,
    ) -> [f32; ROWS] {
        let before = self.greatest;
        let window = numbers.window.unwrap_or(i32::MAX);
        // Of a softcap, what scores are divided by before, and multiplied with after.
        let cap = numbers.softcap.unwrap_or(1.0);
        for (index, (scores, &key)) in scores.iter_mut().zip(keys.positions).enumerate() {
            let scale = numbers.scale * scale_of(keys.key_scales, index) / cap;
            for (lane, to) in scores.as_flattened_mut().iter_mut().enumerate() {
                let mut score = *to * scale;
                if numbers.softcap.is_some() {
                    score = tanh(score) * cap;
                }
                if keys.sight != Sight::All {
                    let position = self.positions[lane];
                    let seen = key >= 0 && position >= key && position.wrapping_sub(key) < window;
                    score = if seen { score } else { f32::NEG_INFINITY };
                }
                let greatest = &mut self.greatest[lane];
                *greatest = if score > *greatest { score } else { *greatest };
                *to = score;
            }
        }
        let shift = self.greatest.map(finite);
        let mut shrink = [0.0; ROWS];
        for (lane, shrink) in shrink.iter_mut().enumerate() {
            *shrink = exp(before[lane] - shift[lane]);
            self.totals[lane] *= *shrink;
        }
        for (index, scores) in scores.iter_mut().enumerate() {
            let scale = scale_of(keys.value_scales, index);
            for (lane, score) in scores.as_flattened_mut().iter_mut().enumerate() {
                let weight = exp(*score - shift[lane]);
                self.totals[lane] += weight;
                // What has no weight has none, whatever its scale.
                *score = if weight == 0.0 { 0.0 } else { weight * scale };
            }
        }
        shrink
    }
}

/// Multiplies sums by what their rows have to shrink by.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn shrink(sums: &mut [Tile], by: &[f32; ROWS]) {
    if *by == [1.0; ROWS] {
        return;
    }
    for column in sums.as_flattened_mut() {
        for (sum, by) in column.as_flattened_mut().iter_mut().zip(by) {
            *sum *= by;
        }
    }
}
