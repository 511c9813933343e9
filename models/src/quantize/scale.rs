//! The scale of a group of weights: the one, among some, that leaves the least squared error.
//!
//! Largest weight over largest code is not it: with few codes, a step so large that the one extreme weight fits costs
//! all others more than clipping it would (Choukroun et al., "Low-bit Quantization of Neural Networks for Efficient
//! Inference", 2019, where the clipping that minimises the mean squared error is searched for). Here, too, a few
//! clippings are tried. The best is then refined: the codes that it leads to have a least-squares scale of their own,
//! which leads to other codes, and so on, as in Lloyd's algorithm.

use half::{bf16, f16};

use super::levels::Levels;
use crate::dtype::StoredDtype;

/// Where the search for the clipping begins and ends, as parts of the extreme weight. Slightly more than all of it
/// lets the other weights fall better.
const LEAST_CLIPPING: f32 = 0.40;
const MOST_CLIPPING: f32 = 1.10;
const CLIPPINGS: u8 = 8;
/// Refinements rarely go on for longer.
const MOST_REFINEMENTS: usize = 4;
/// Sums are kept in so many parts, which the compiler turns into vectors.
const LANES: usize = 16;

/// What zeros are stored with, and weights too small for a scale of their own: any finite number would do.
const SCALE_OF_ZEROS: f32 = 1.0;

/// The scale to store with `weights`, all finite: a value of `dtype`, not zero, possibly negative.
pub(super) fn best_scale(weights: &[f32], levels: Levels, dtype: StoredDtype) -> f32 {
    let extreme =
        weights.iter().fold(0.0_f32, |extreme, &w| if w.abs() > extreme.abs() { w } else { extreme });
    // Unless codes are symmetric, there is one more of them below zero: the extreme weight gets that one, and the
    // scale its sign.
    let symmetric = levels.low == -levels.high;
    let whole = if symmetric { extreme.abs() / levels.high } else { extreme / levels.low };
    let Some(mut best) = Candidate::new(whole, weights, levels, dtype) else { return SCALE_OF_ZEROS };

    for step in 0..CLIPPINGS {
        let part = f32::from(step) / f32::from(CLIPPINGS - 1);
        let clipping = LEAST_CLIPPING + (MOST_CLIPPING - LEAST_CLIPPING) * part;
        best.improve(whole * clipping, weights, levels, dtype);
    }
    for _ in 0..MOST_REFINEMENTS {
        if !best.improve(best.refined, weights, levels, dtype) {
            break;
        }
    }
    best.scale
}

/// A scale, and what comes of it.
struct Candidate {
    scale: f32,
    squared_error: f32,
    /// The least-squares scale of the codes that `scale` leads to, not rounded.
    refined: f32,
}

impl Candidate {
    /// `scale` rounded to `dtype`; `None` if that, or its reciprocal, is zero or not finite.
    fn new(scale: f32, weights: &[f32], levels: Levels, dtype: StoredDtype) -> Option<Self> {
        let scale = rounded(scale, dtype);
        let reciprocal = scale.recip();
        if scale == 0.0 || !scale.is_finite() || !reciprocal.is_finite() {
            return None;
        }
        let Sums { squared_error, weight_by_code, squared_code } = sums(weights, scale, reciprocal, levels);
        Some(Self { scale, squared_error, refined: weight_by_code / squared_code })
    }

    /// Becomes the candidate of `scale` if that is better, and says whether it was.
    fn improve(&mut self, scale: f32, weights: &[f32], levels: Levels, dtype: StoredDtype) -> bool {
        match Self::new(scale, weights, levels, dtype) {
            Some(other) if other.squared_error < self.squared_error => {
                *self = other;
                true
            }
            _ => false,
        }
    }
}

/// Sums over the weights of a group, of what codes make of them.
struct Sums {
    squared_error: f32,
    weight_by_code: f32,
    squared_code: f32,
}

/// All that the search waits for.
fn sums(weights: &[f32], scale: f32, reciprocal: f32, levels: Levels) -> Sums {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { sums_in_avx2(weights, scale, reciprocal, levels) };
    }
    sums_in_lanes(weights, scale, reciprocal, levels)
}

/// As [`sums_in_lanes`], to the last bit, in half as many instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sums_in_avx2(weights: &[f32], scale: f32, reciprocal: f32, levels: Levels) -> Sums {
    sums_in_lanes(weights, scale, reciprocal, levels)
}

#[inline(always)]
fn sums_in_lanes(weights: &[f32], scale: f32, reciprocal: f32, levels: Levels) -> Sums {
    let mut squared_error = [0.0; LANES];
    let mut weight_by_code = [0.0; LANES];
    let mut squared_code = [0.0; LANES];
    let mut add = |weights: &[f32; LANES]| {
        for (lane, weight) in weights.iter().enumerate() {
            let code = levels.nearest(weight * reciprocal);
            let error = weight - scale * code;
            squared_error[lane] += error * error;
            weight_by_code[lane] += weight * code;
            squared_code[lane] += code * code;
        }
    };
    let (chunks, rest) = weights.as_chunks::<LANES>();
    chunks.iter().for_each(&mut add);
    // Zeros have code zero and add nothing.
    let mut last = [0.0; LANES];
    last.iter_mut().zip(rest).for_each(|(last, weight)| *last = *weight);
    add(&last);

    let total = |lanes: [f32; LANES]| lanes.iter().sum::<f32>();
    Sums {
        squared_error: total(squared_error),
        weight_by_code: total(weight_by_code),
        squared_code: total(squared_code),
    }
}

/// The value of `dtype` nearest to `value`.
fn rounded(value: f32, dtype: StoredDtype) -> f32 {
    match dtype {
        StoredDtype::F32 => value,
        StoredDtype::Bf16 => bf16::from_f32(value).to_f32(),
        StoredDtype::F16 => f16::from_f32(value).to_f32(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::levels::Bits;
    use super::*;

    fn squared_error(weights: &[f32], scale: f32, levels: Levels) -> f64 {
        let decoded = |w: f32| levels.nearest(w / scale) * scale;
        weights.iter().map(|&w| f64::from(w - decoded(w)).powi(2)).sum()
    }

    /// Sums of twelve uniform numbers: all but normally distributed.
    fn normal(count: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum()).collect()
    }

    #[test]
    fn no_other_scales_are_better_by_much() {
        let weights = normal(64 * 50);
        for (bits, group) in [(Bits::Four, 64), (Bits::Four, 32), (Bits::Four, 3200), (Bits::Eight, 3200)] {
            let levels = bits.levels();
            let (mut found, mut best, mut plain) = (0.0, 0.0, 0.0);
            for group in weights.chunks(group) {
                let largest = group.iter().fold(0.0_f32, |largest, w| largest.max(w.abs()));
                let steps = (1..=2400).map(|step| step as f32 / 2000.0 * largest / levels.high);
                let scales = steps.flat_map(|scale| [scale, -scale]);
                best += scales.map(|scale| squared_error(group, scale, levels)).fold(f64::MAX, f64::min);
                found += squared_error(group, best_scale(group, levels, StoredDtype::F32), levels);
                plain += squared_error(group, largest / levels.high, levels);
            }
            assert!(found <= 1.06 * best, "{bits} by {group}: {found} where {best} is possible");
            assert!(found <= plain, "{bits} by {group}: {found}, {plain} without a search");
        }
    }

    #[test]
    fn what_codes_hold_exactly_is_kept_exactly() {
        for dtype in StoredDtype::ALL {
            for scale in [0.25, -0.25] {
                let weights: Vec<f32> = (-8..8).map(|code| code as f32 * scale).collect();
                assert_eq!(best_scale(&weights, Bits::Four.levels(), dtype), scale);
            }
            let weights: Vec<f32> = (-127..=127).map(|code| code as f32 * 0.5).collect();
            assert_eq!(best_scale(&weights, Bits::Eight.levels(), dtype), 0.5);
        }
    }

    #[test]
    fn extremes_have_a_scale() {
        for bits in [Bits::Four, Bits::Eight] {
            for dtype in StoredDtype::ALL {
                for weights in
                    [[0.0; 5], [1e-45; 5], [-0.0, 1e-39, 0.0, 0.0, 0.0], [1e20, -3e38, 0.0, 1.0, 2.0]]
                {
                    let scale = best_scale(&weights, bits.levels(), dtype);
                    assert!(scale != 0.0 && scale.is_finite(), "{bits} {dtype} {weights:?}: {scale}");
                }
            }
        }
        assert_eq!(best_scale(&[], Bits::Four.levels(), StoredDtype::Bf16), SCALE_OF_ZEROS);
    }
}
