//! Rotary position embedding.

use half::bf16;

use super::{Rows, RowsError, check, compute};
use crate::dot::wide;
use crate::{Features, Pool};

/// Sizes of what is rotated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RopeShape {
    /// Tokens, each of a position of its own.
    pub tokens: usize,
    /// Heads of a token.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

/// Cosines and sines of each token, `[tokens, head_dim]`: as the halves of a head take them, so that each angle is in
/// both halves, and sines are negative in the first.
#[derive(Clone, Copy, Debug)]
pub struct RopeTables<'a> {
    /// Cosines.
    pub cos: &'a [f32],
    /// Sines.
    pub sin: &'a [f32],
}

/// `x · cos + swapped(x) · sin` for each head of `x` `[tokens, heads, head_dim]`, where `swapped` exchanges a head's halves:
/// the half-split form of RoPE, in f32, rounded once.
///
/// # Errors
/// If a slice has another size than `shape` says.
pub fn rope(
    pool: &Pool,
    features: Features,
    shape: RopeShape,
    x: &[bf16],
    tables: RopeTables<'_>,
    out: &mut [bf16],
) -> Result<(), RowsError> {
    let RopeShape { tokens, heads, head_dim } = shape;
    let angles = tokens.saturating_mul(head_dim);
    let elements = angles.saturating_mul(heads);
    check([
        ("the input of a rotation", elements, x.len()),
        ("the cosines of a rotation", angles, tables.cos.len()),
        ("the sines of a rotation", angles, tables.sin.len()),
        ("the result of a rotation", elements, out.len()),
    ])?;
    compute(pool, features, &Rotation { x, tables, head_dim }, heads.saturating_mul(head_dim), out);
    Ok(())
}

struct Rotation<'a> {
    x: &'a [bf16],
    tables: RopeTables<'a>,
    head_dim: usize,
}

impl Rows for Rotation<'_> {
    #[inline(always)]
    fn compute(&self, row: usize, out: &mut [bf16]) {
        let (start, angles) = (row * out.len(), row * self.head_dim..(row + 1) * self.head_dim);
        let Some(x) = self.x.get(start..start + out.len()) else { return };
        let (Some(cos), Some(sin)) = (self.tables.cos.get(angles.clone()), self.tables.sin.get(angles))
        else {
            return;
        };
        for (out, x) in out.chunks_exact_mut(self.head_dim).zip(x.chunks_exact(self.head_dim)) {
            // The second half of an odd head is the longer one, and comes first when they are exchanged.
            let (first, second) = x.split_at(self.head_dim / 2);
            let split = second.len();
            rotate(&mut out[..split], &x[..split], second, &cos[..split], &sin[..split]);
            rotate(&mut out[split..], &x[split..], first, &cos[split..], &sin[split..]);
        }
    }
}

#[inline(always)]
fn rotate(out: &mut [bf16], x: &[bf16], swapped: &[bf16], cos: &[f32], sin: &[f32]) {
    for ((((out, &x), &swapped), cos), sin) in out.iter_mut().zip(x).zip(swapped).zip(cos).zip(sin) {
        *out = bf16::from_f32(wide(x) * cos + wide(swapped) * sin);
    }
}
