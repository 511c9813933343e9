//! Elementwise functions on single elements, shared by tensors and by scalar bodies.
//!
//! Each takes elements that `dtype` represents exactly, computes in the wide type (`f64`, `i128`) and rounds
//! to `dtype` once. For `+ - * /` and `sqrt` on types up to `f32` that is the correctly rounded result.
//! `None` means that the function is not defined on the element type.

mod binary;
mod unary;

use std::cmp::Ordering;

pub(super) use binary::binary;
pub(super) use unary::{unary, unary_dtype};

use crate::element::Scalar;
use crate::op::Comparison;

/// `a direction b`. Floats compare as IEEE says (NaN is unequal to everything) or, in `total_order`, by
/// -NaN < -inf < ... < -0 < 0 < ... < inf < NaN.
pub(super) fn compare(direction: Comparison, total_order: bool, a: Scalar, b: Scalar) -> Option<Scalar> {
    let ordering = match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(&b)),
        (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(&b)),
        (Scalar::Float(a), Scalar::Float(b)) if total_order => Some(a.total_cmp(&b)),
        (Scalar::Float(a), Scalar::Float(b)) => a.partial_cmp(&b),
        (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_), _) => return None,
    };
    Some(Scalar::Bool(match direction {
        Comparison::Eq => ordering == Some(Ordering::Equal),
        Comparison::Ne => ordering != Some(Ordering::Equal),
        Comparison::Ge => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Gt => ordering == Some(Ordering::Greater),
        Comparison::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Lt => ordering == Some(Ordering::Less),
    }))
}

/// Greater of the two; NaN if either is, and +0 is greater than -0.
pub(super) fn maximum(a: Scalar, b: Scalar) -> Option<Scalar> {
    extremum(a, b, Ordering::Greater)
}

/// Lesser of the two; NaN if either is, and -0 is less than +0.
pub(super) fn minimum(a: Scalar, b: Scalar) -> Option<Scalar> {
    extremum(a, b, Ordering::Less)
}

fn extremum(a: Scalar, b: Scalar, wanted: Ordering) -> Option<Scalar> {
    let first_wins = match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(&b) == wanted,
        (Scalar::Int(a), Scalar::Int(b)) => a.cmp(&b) == wanted,
        (Scalar::Float(a), Scalar::Float(b)) => a.is_nan() || !b.is_nan() && a.total_cmp(&b) == wanted,
        (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_), _) => return None,
    };
    Some(if first_wins { a } else { b })
}

/// `min(max(x, low), high)`.
pub(super) fn clamp(low: Scalar, x: Scalar, high: Scalar) -> Option<Scalar> {
    minimum(maximum(x, low)?, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extrema_follow_ieee_754() {
        let float = Scalar::Float;
        let is_nan = |x: Option<Scalar>| matches!(x, Some(Scalar::Float(f)) if f.is_nan());
        assert!(is_nan(maximum(float(f64::NAN), float(1.0))));
        assert!(is_nan(maximum(float(1.0), float(f64::NAN))));
        assert!(is_nan(minimum(float(1.0), float(-f64::NAN))));
        for (a, b) in [(0.0, -0.0), (-0.0, 0.0)] {
            assert!(matches!(maximum(float(a), float(b)), Some(Scalar::Float(f)) if f.is_sign_positive()));
            assert!(matches!(minimum(float(a), float(b)), Some(Scalar::Float(f)) if f.is_sign_negative()));
        }
        assert!(is_nan(clamp(float(0.0), float(f64::NAN), float(1.0))));
        assert_eq!(clamp(float(2.0), float(0.0), float(1.0)), Some(float(1.0)), "the upper bound is last");
        assert_eq!(maximum(Scalar::Bool(false), Scalar::Bool(true)), Some(Scalar::Bool(true)));
        assert_eq!(maximum(Scalar::Bool(false), Scalar::Int(1)), None);
    }

    #[test]
    fn comparisons_are_partial_or_total() {
        let compare = |direction, total, a, b| {
            compare(direction, total, Scalar::Float(a), Scalar::Float(b)) == Some(Scalar::Bool(true))
        };
        for direction in Comparison::ALL {
            assert_eq!(compare(*direction, false, f64::NAN, 1.0), *direction == Comparison::Ne);
        }
        assert!(compare(Comparison::Eq, false, -0.0, 0.0));
        assert!(compare(Comparison::Lt, true, -0.0, 0.0));
        assert!(compare(Comparison::Gt, true, f64::NAN, f64::INFINITY));
        assert!(compare(Comparison::Lt, true, -f64::NAN, f64::NEG_INFINITY));
        assert!(compare(Comparison::Eq, true, f64::NAN, f64::NAN));
    }
}
