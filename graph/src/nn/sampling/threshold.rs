//! Thresholds without sorting: the greatest value above which there still is enough.
//!
//! Sorting a vocabulary of 256,000 is slow everywhere, and where it is split over devices it gathers all of it. A
//! threshold needs neither. Floats are mapped to integers that are ordered as they are, and the integer is found from
//! its most significant digit to its least: each pass measures what lies at or above every value of the next digit.

use super::per_row;
use crate::op::{BinaryKind, Comparison};
use crate::{BuildError, DType, FunctionBuilder, Literal, TensorType, ValueId};

/// Bits of a digit. More of them means fewer passes, each a synchronisation where the vocabulary is split, and more
/// comparisons in all: `(2^bits - 1) * 32 / bits` an element.
const DIGIT_BITS: u32 = 2;
const PASSES: u32 = u32::BITS / DIGIT_BITS;
const CANDIDATES: usize = (1 << DIGIT_BITS) - 1;

/// Integers (u32) in the order of the floats `x` (f32), -0 counting as 0. NaN has no place in it.
pub(super) fn order_keys(b: &mut FunctionBuilder<'_>, x: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let zero = b.splat(0.0, &ty)?;
    let is_zero = b.compare(Comparison::Eq, x, zero)?;
    let x = b.select(is_zero, zero, x)?;
    // Positive floats are ordered as their bits are, negative ones the other way round and before all positive ones.
    let bits = b.bitcast_convert(x, DType::U32)?;
    let sign = b.splat(f64::from(1u32 << 31), &ty.with_dtype(DType::U32))?;
    let positive = b.compare(Comparison::Lt, bits, sign)?;
    let (raised, reversed) = (b.or(bits, sign)?, b.not(bits)?);
    b.select(positive, raised, reversed)
}

/// The greatest u32 at or above which each row's `keys` `[batch, n]` still are `enough` `[batch]`: as many keys (s32), or
/// where there are `weights` (f32 `[batch, n]`, not negative), keys of that total weight (f32). All keys of a row must be
/// enough. The result, `[batch]`, is 0 for rows that are not `wanted` (pred `[batch]`); if no row is, no pass is made.
pub(super) fn threshold(
    b: &mut FunctionBuilder<'_>,
    keys: ValueId,
    weights: Option<ValueId>,
    enough: ValueId,
    wanted: ValueId,
) -> Result<ValueId, BuildError> {
    let any = per_row::any(b, wanted)?;
    let (first, last) = (int(b, 0)?, int(b, PASSES)?);
    let pass = b.select(any, first, last)?;
    let zeros = b.splat(0.0, &b.ty(wanted)?.with_dtype(DType::U32))?;
    let carried: Vec<ValueId> = [pass, zeros, keys, enough].into_iter().chain(weights).collect();
    let more = |b: &mut FunctionBuilder<'_>, carried: &[ValueId]| {
        let last = int(b, PASSES)?;
        let pass = b.nth("while", carried, 0)?;
        b.compare(Comparison::Lt, pass, last)
    };
    let ended = b.while_with("next_digit", &carried, more, |b, carried| {
        let mut next = carried.to_vec();
        if let (&[pass, found, keys, enough, ref weights @ ..], [next_pass, next_found, ..]) =
            (carried, &mut *next)
        {
            *next_found = with_next_digit(b, pass, found, keys, weights.first().copied(), enough)?;
            let one = int(b, 1)?;
            *next_pass = b.add(pass, one)?;
        }
        Ok(next)
    })?;
    let found = b.nth("while", &ended, 1)?;
    b.select(wanted, found, zeros)
}

/// `found` with one digit more.
fn with_next_digit(
    b: &mut FunctionBuilder<'_>,
    pass: ValueId,
    found: ValueId,
    keys: ValueId,
    weights: Option<ValueId>,
    enough: ValueId,
) -> Result<ValueId, BuildError> {
    let (batch, n) = match b.ty(keys)?.dims[..] {
        [batch, n] => (batch, n),
        _ => (0, 0),
    };
    // The shift of this digit: 32 - DIGIT_BITS in the first pass, 0 in the last.
    let (last, bits) = (int(b, PASSES - 1)?, int(b, DIGIT_BITS)?);
    let passes_left = b.sub(last, pass)?;
    let shift = b.mul(passes_left, bits)?;
    let shift = b.convert(shift, DType::U32)?;

    let grid = TensorType::new(DType::U32, [batch, CANDIDATES]);
    let (digits, ones) = (b.iota(grid.clone(), 1)?, b.splat(1.0, &grid)?);
    let digits = b.add(digits, ones)?;
    let shifts = b.broadcast(shift, &grid.dims, &[])?;
    let digits = b.binary(BinaryKind::ShiftLeft, digits, shifts)?;
    let base = per_row::spread(b, found, &grid)?;
    let candidates = b.or(base, digits)?;

    let cube = [batch, CANDIDATES, n];
    let keys = b.broadcast(keys, &cube, &[0, 2])?;
    let candidates = b.broadcast(candidates, &cube, &[0, 1])?;
    let above = b.compare(Comparison::Ge, keys, candidates)?;
    let measured = match weights {
        None => per_row::count(b, above)?,
        Some(weights) => {
            let weights = b.broadcast(weights, &cube, &[0, 2])?;
            let nothing = b.splat(0.0, &b.ty(weights)?)?;
            let weights = b.select(above, weights, nothing)?;
            per_row::sum(b, weights)?
        }
    };
    // There is less above greater candidates, so those with enough are the first ones: their number is the digit.
    let enough = per_row::spread(b, enough, &b.ty(measured)?)?;
    let is_enough = b.compare(Comparison::Ge, measured, enough)?;
    let digit = per_row::count(b, is_enough)?;
    let digit = b.convert(digit, DType::U32)?;
    let shift = b.broadcast(shift, &[batch], &[])?;
    let digit = b.binary(BinaryKind::ShiftLeft, digit, shift)?;
    b.or(found, digit)
}

fn int(b: &mut FunctionBuilder<'_>, value: u32) -> Result<ValueId, BuildError> {
    b.constant(Literal::int(DType::S32, i64::from(value)))
}
