//! Gumbel noise: adding it to logits and taking the greatest draws from their softmax.
//!
//! Source: Maddison, Tarlow and Minka, "A* sampling", NeurIPS 2014, section 2. Each token has noise of its own, so a draw
//! needs no running sum over the vocabulary, and a vocabulary that is split over devices only meets in the maximum.

use super::per_row::spread;
use super::threefry::threefry_2x32;
use crate::op::UnaryKind;
use crate::{BuildError, DType, FunctionBuilder, TensorType, ValueId};

/// Noise from the standard Gumbel distribution, f32 `[batch, vocab]`, each element a function of its row's `seed`
/// (`[batch, 2]` u32, low word first), its row's `position` (`[batch]` s32) and its token's id, and of nothing else.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn gumbel(
    b: &mut FunctionBuilder<'_>,
    seed: ValueId,
    position: ValueId,
    vocab: usize,
) -> Result<ValueId, BuildError> {
    let batch = b.ty(position)?.num_elements();
    let words = TensorType::new(DType::U32, [batch, vocab]);
    let mut key = [seed; 2];
    for (index, word) in key.iter_mut().enumerate() {
        let column = b.slice_dim(seed, 1, index, index + 1)?;
        let column = b.reshape(column, &[batch])?;
        *word = spread(b, column, &words)?;
    }
    let position = b.convert(position, DType::U32)?;
    let counter = [spread(b, position, &words)?, b.iota(words.clone(), 1)?];
    let words = threefry_2x32(b, key, counter)?;
    let exponential = exponential(b, words)?;
    let log = b.log(exponential)?;
    b.neg(log)
}

/// Numbers from the standard exponential distribution, by inverting its distribution function.
///
/// The token that is chosen has one of the smallest of many thousands, so small ones must be fine-grained: both words
/// make the uniform number, whose f32 keeps 24 significant bits however small it is. It never becomes 0 or 1.
fn exponential(b: &mut FunctionBuilder<'_>, [high, low]: [ValueId; 2]) -> Result<ValueId, BuildError> {
    let scaled = |b: &mut FunctionBuilder<'_>, word, offset: f64, exponent: i32| {
        let word = b.convert(word, DType::F32)?;
        let ty = b.ty(word)?;
        let (offset, scale) = (b.splat(offset, &ty)?, b.splat(2f64.powi(exponent), &ty)?);
        let word = b.add(word, offset)?;
        b.mul(word, scale)
    };
    let (high, low) = (scaled(b, high, 0.0, -32)?, scaled(b, low, 0.5, -64)?);
    let uniform = b.add(high, low)?;
    let ty = b.ty(uniform)?;
    let below_one = b.splat(1.0 - 2f64.powi(-24), &ty)?;
    let uniform = b.min(uniform, below_one)?;
    let survival = b.neg(uniform)?;
    let log = b.unary(UnaryKind::LogPlusOne, survival)?;
    b.neg(log)
}
