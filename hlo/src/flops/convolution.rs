//! Operations of a convolution.

use super::saturating;
use crate::attributes::{Convolution, WindowDimension};
use crate::shape::Shape;

/// Sizes and strides of windows beyond which no convolution of a real program goes; the places of a window are
/// looked at one by one.
const MAX_WINDOW: i128 = 1 << 20;

/// `2 x outputs x input features of a group x places of the window that lie on the input`; `None` if the dimension
/// numbers do not fit the shapes or the window is absurd.
pub(super) fn flops(convolution: &Convolution, output: &Shape, input: &Shape, kernel: &Shape) -> Option<u64> {
    let [output, input, kernel] = [output.as_array()?, input.as_array()?, kernel.as_array()?];
    let size = |dimensions: &[u64], dimension: usize| dimensions.get(dimension).copied();

    // Outputs in all, and pairs of an output place and a window place on the input; both over spatial dimensions.
    let mut outputs = u128::from(output.elements());
    let mut pairs = 1_u128;
    for (index, &spatial) in convolution.output_spatial.iter().enumerate() {
        let out = size(&output.dimensions, spatial)?;
        let base = size(&input.dimensions, *convolution.input_spatial.get(index)?)?;
        let window = match convolution.window.get(index) {
            Some(window) => *window,
            None => WindowDimension {
                size: size(&kernel.dimensions, *convolution.kernel_spatial.get(index)?)?,
                ..WindowDimension::plain()
            },
        };
        outputs /= u128::from(out.max(1));
        pairs = pairs.checked_mul(places(window, base, out)?)?;
    }
    // The kernel's input features are those of one group; an output sees one group, of features or of the batch.
    let features = u128::from(size(&kernel.dimensions, convolution.kernel_input_feature)?);
    let flops = outputs.checked_mul(pairs)?.checked_mul(features)?.checked_mul(2)?;
    Some(saturating(flops))
}

/// In one dimension: pairs of one of `out` outputs and a place of its window that lies on one of `base` inputs.
///
/// Output `o` and window place `w` see position `o * stride + w * window_dilation - padding_low` of the input spread
/// out by `base_dilation`; there is an input where that is a multiple of the dilation in range.
fn places(window: WindowDimension, base: u64, out: u64) -> Option<u128> {
    let [stride, dilation, spread] =
        [window.stride, window.window_dilation, window.base_dilation].map(i128::from);
    let (base, out) = (i128::from(base), i128::from(out));
    if base == 0 || out == 0 || stride <= 0 || dilation <= 0 || spread <= 0 {
        return Some(0);
    }
    if [stride, dilation, spread, i128::from(window.size)].into_iter().any(|size| size > MAX_WINDOW) {
        return None;
    }
    let last = (base - 1).checked_mul(spread)?;
    let mut pairs = 0_u128;
    // Kernels are small; the outputs that one place of the window sees are counted at once.
    for place in 0..i128::from(window.size) {
        let shift = place * dilation - i128::from(window.padding_low);
        // Outputs o with 0 <= o * stride + shift <= last.
        let first = (-shift).max(0).div_euclid(stride) + i128::from((-shift).max(0).rem_euclid(stride) > 0);
        let end = (last - shift).div_euclid(stride).min(out - 1);
        pairs = pairs.checked_add(multiples(first, end, stride, shift, spread))?;
    }
    Some(pairs)
}

/// How many `o` in `first..=end` make `o * stride + shift` a multiple of `spread`.
fn multiples(first: i128, end: i128, stride: i128, shift: i128, spread: i128) -> u128 {
    let (divisor, inverse) = gcd_and_inverse(stride, spread);
    if first > end || shift % divisor != 0 {
        return 0;
    }
    // One in each period fits.
    let period = spread / divisor;
    let residue = (-shift / divisor).rem_euclid(period) * inverse;
    let hit = first + (residue - first).rem_euclid(period);
    if hit > end { 0 } else { ((end - hit) / period + 1).unsigned_abs() }
}

/// The greatest common divisor of `a` and `modulus`, and the inverse of `a / divisor` modulo `modulus / divisor`
/// (the extended Euclidean algorithm).
fn gcd_and_inverse(a: i128, modulus: i128) -> (i128, i128) {
    let (mut remainder, mut next) = (modulus, a.rem_euclid(modulus));
    let (mut coefficient, mut next_coefficient) = (0, 1);
    while next != 0 {
        let quotient = remainder / next;
        (remainder, next) = (next, remainder - quotient * next);
        (coefficient, next_coefficient) = (next_coefficient, coefficient - quotient * next_coefficient);
    }
    (remainder, coefficient.rem_euclid(modulus / remainder))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts one by one.
    fn slowly(window: WindowDimension, base: i64, out: i64) -> u128 {
        let mut pairs = 0;
        for o in 0..out {
            for w in 0..window.size as i64 {
                let at = o * window.stride as i64 + w * window.window_dilation as i64 - window.padding_low;
                let spread = window.base_dilation as i64;
                pairs += u128::from(at >= 0 && at % spread == 0 && at / spread < base);
            }
        }
        pairs
    }

    #[test]
    fn places_are_those_counted_one_by_one() {
        for size in 1..5 {
            for stride in 1..4 {
                for padding_low in -2..4 {
                    for dilations in 0..9 {
                        let (window_dilation, base_dilation) = (1 + dilations % 3, 1 + dilations / 3);
                        let window =
                            WindowDimension { size, stride, padding_low, window_dilation, base_dilation };
                        for (base, out) in [(1, 4), (4, 1), (5, 7), (3, 3)] {
                            let expected = slowly(window, base, out);
                            assert_eq!(places(window, base as u64, out as u64), Some(expected), "{window:?}");
                        }
                    }
                }
            }
        }
    }
}
