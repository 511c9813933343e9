//! `x` as fixed-point numbers of three bytes, so that the processor's products of bytes do the work of those of bf16.
//!
//! Let `2^e` be the largest power of two that is no larger than some element of a row of `x`. The row is then written as
//! whole numbers `X` times a unit of `2^(e - 21)`, and these with three digits from -128 to 127:
//! `X = d[0] 2^16 + d[1] 2^8 + d[2]`. Sums of products of digits and codes are whole numbers, and none is rounded.
//!
//! What that is worth:
//!
//! - A bf16 has eight significant bits, so that `|X| <= (2 - 2^-7) 2^21 < 2^22`, which three digits reach.
//! - An element of `2^(e - 14)` or more is exact: its lowest bit is 2^-7 of its highest, and so a unit at least.
//! - A smaller one is off by half a unit at most, `2^-22` of the row's largest element. A result is therefore
//!   `x · weight` within `2^-22 max|x| sum |weight|`, however large its row. When the largest element became a bf16, up
//!   to `2^-9` of it was lost.
//! - Four products of a lane of int8, or eight of int4, are `4 * 128 * (2^22 - 2^14) < 2^31` at most, so that a lane can
//!   put its digits together again. What is larger on the way there is right modulo `2^32`.
//!
//! A row with NaN or an infinity is no such number.

use half::bf16;

/// Digits of a number.
pub(super) const DIGITS: usize = 3;

/// Bits of a digit.
pub(super) const DIGIT: u32 = 8;

/// Bits that a number has below the highest of the row's largest.
pub(super) const FRACTION: i32 = 21;

/// The exponent of the largest element, at least that of the smallest normal number; `None` if one is NaN or infinite.
pub(super) fn exponent(x: &[bf16]) -> Option<i32> {
    const BIAS: u16 = 127;
    const NO_NUMBER: u16 = 255;
    let largest = x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff)) >> 7;
    (largest != NO_NUMBER).then(|| i32::from(largest.max(1)) - i32::from(BIAS))
}

/// `2^exponent`, for an exponent of bf16 and somewhat beyond.
pub(super) fn power_of_two(exponent: i32) -> f64 {
    const BIAS: i32 = 1023;
    f64::from_bits(u64::from((BIAS + exponent).cast_unsigned()) << 52)
}
