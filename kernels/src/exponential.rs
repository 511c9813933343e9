//! `exp` and `tanh` of f32 in arithmetic that the compiler makes vectors of.

/// Below this, `exp` is zero to f32's smallest normal number.
const LEAST: f32 = -87.0;

/// ln 2 in two parts, the first of which has few enough bits to be exact in a product with a small whole number.
pub(crate) const LN_2_HIGH: f32 = 0.693_359_4;
pub(crate) const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `(exp(r) - 1 - r) / r^2`, from the highest power of `r` on.
pub(crate) const SERIES: [f32; 6] =
    [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];

/// `1.5 · 2^23`: added to a number of less than 2^22, it leaves the nearest whole number in the lowest bits.
const WHOLE: f32 = 12_582_912.0;

/// `exp(x)` for `x` up to 88, to two units in the last place; 0 for anything far enough below, and NaN for NaN.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a polynomial for `exp(r)` and the exponent set to `n`. Source of the
/// coefficients: Cephes, `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    exp_of::<false>(x)
}

/// `tanh(x)`, to 2e-7 absolutely; NaN for NaN.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    tanh_of::<false>(x)
}

/// [`exp`] and [`tanh`] with fused products, for callers that are compiled for an instruction that does them.
#[cfg(target_arch = "x86_64")]
pub(crate) mod fused {
    use super::{exp_of, tanh_of};

    #[inline(always)]
    pub(crate) fn exp(x: f32) -> f32 {
        exp_of::<true>(x)
    }

    #[inline(always)]
    pub(crate) fn tanh(x: f32) -> f32 {
        tanh_of::<true>(x)
    }
}

#[inline(always)]
fn exp_of<const FUSED: bool>(x: f32) -> f32 {
    let product_and = |a: f32, b: f32, sum: f32| if FUSED { a.mul_add(b, sum) } else { a * b + sum };
    let shifted = product_and(x, std::f32::consts::LOG2_E, WHOLE);
    let n = shifted - WHOLE;
    let r = product_and(-n, LN_2_LOW, product_and(-n, LN_2_HIGH, x));
    let series = SERIES.iter().fold(0.0f32, |sum, &coefficient| product_and(sum, r, coefficient));
    let fraction = product_and(series * r, r, r + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x <= LEAST { 0.0 } else { fraction * power }
}

#[inline(always)]
fn tanh_of<const FUSED: bool>(x: f32) -> f32 {
    let size = x.abs();
    // Where the exponential would leave f32's range, tanh has long been 1.
    let size = if size > 20.0 { 20.0 } else { size };
    let magnitude = 1.0 - 2.0 / (exp_of::<FUSED>(2.0 * size) + 1.0);
    magnitude.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_close_to_the_functions_of_f64() {
        for i in -88_000..=88_000 {
            let x = i as f32 / 1000.0;
            for exp in [exp(x), exp_of::<true>(x)] {
                let exact = f64::from(x).exp();
                assert!(x <= LEAST || (f64::from(exp) / exact - 1.0).abs() < 2.5e-7, "exp({x}) = {exp}");
            }
            for tanh in [tanh(x), tanh_of::<true>(x)] {
                assert!((f64::from(tanh) - f64::from(x).tanh()).abs() < 2e-7, "tanh({x}) = {tanh}");
            }
        }
    }

    #[test]
    fn far_below_is_zero() {
        for x in [-88.0, -1e9, f32::MIN, f32::NEG_INFINITY] {
            assert_eq!(exp(x), 0.0);
        }
    }

    #[test]
    fn nan_stays_and_infinity_has_its_limit() {
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
    }
}
