//! Keys, or values, as a KV cache holds them: floats, or in 8 bits with a scale for each head of each position.

use super::cache::{CacheWrite, cache_in_order, cache_write};
use crate::op::{BinaryKind, Comparison, UnaryKind};
use crate::{BuildError, DType, FunctionBuilder, Literal, TensorType, ValueId};

/// The greatest code of 8 bits; codes are symmetric.
const MAX_CODE: f64 = 127.0;

/// Half of a layer's KV cache: its keys or its values.
///
/// In 8 bits, what a slot holds of a head is `scale * code` for each of its elements: `scale` is the greatest magnitude
/// among them over 127, computed when they are written. Keys stand in it as attention takes them, after RoPE.
#[derive(Clone, Copy, Debug)]
pub struct CacheHalf {
    /// Floats, or codes in S8: `[batch, kv_heads, slots, head_dim]`.
    pub elements: ValueId,
    /// The scales of codes, f32 `[batch, kv_heads, slots]`; of floats none.
    pub scales: Option<ValueId>,
}

/// Keys or values of a step's tokens in the form in which a cache holds them.
#[derive(Clone, Copy, Debug)]
pub struct CacheUpdate {
    /// Floats, or codes in S8: `[batch, seq, kv_heads, head_dim]`.
    elements: ValueId,
    /// The scales of codes, f32 `[batch, seq, kv_heads]`.
    scales: Option<ValueId>,
}

impl CacheHalf {
    /// What a cache of this form is to hold of `heads` `[batch, seq, kv_heads, head_dim]`: rounded to its floats, or encoded.
    ///
    /// # Errors
    /// If `heads` are not floats.
    pub fn update(self, b: &mut FunctionBuilder<'_>, heads: ValueId) -> Result<CacheUpdate, BuildError> {
        if self.scales.is_some() {
            return encode(b, heads);
        }
        let dtype = b.ty(self.elements)?.dtype;
        Ok(CacheUpdate { elements: b.convert(heads, dtype)?, scales: None })
    }

    /// The same with an update in its slots.
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn write(
        self,
        b: &mut FunctionBuilder<'_>,
        update: CacheUpdate,
        write: CacheWrite,
    ) -> Result<Self, BuildError> {
        let elements = cache_write(b, self.elements, update.elements, write)?;
        let scales = self.scales.zip(update.scales);
        let scales = scales.map(|(scales, update)| cache_write(b, scales, update, write)).transpose()?;
        Ok(Self { elements, scales })
    }

    /// The same with its slots in the order of their positions, and these: see [`cache_in_order`].
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn in_order(self, b: &mut FunctionBuilder<'_>, end: ValueId) -> Result<(Self, ValueId), BuildError> {
        let (elements, positions) = cache_in_order(b, self.elements, end)?;
        let scales = self.scales.map(|scales| cache_in_order(b, scales, end)).transpose()?;
        Ok((Self { elements, scales: scales.map(|(scales, _)| scales) }, positions))
    }

    /// The same with an update behind its last slot, in slots of its own.
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn followed_by(self, b: &mut FunctionBuilder<'_>, update: CacheUpdate) -> Result<Self, BuildError> {
        let new = b.transpose(update.elements, &[0, 2, 1, 3])?;
        let elements = b.concatenate(&[self.elements, new], 2)?;
        let scales = match self.scales.zip(update.scales) {
            None => None,
            Some((scales, update)) => {
                let new = b.transpose(update, &[0, 2, 1])?;
                Some(b.concatenate(&[scales, new], 2)?)
            }
        };
        Ok(Self { elements, scales })
    }
}

/// Heads in 8 bits. A head with a NaN or an infinity in it has a scale that is one, so that it decodes to nothing but
/// NaN; one whose scale would be below f32's normal numbers has codes of zero.
fn encode(b: &mut FunctionBuilder<'_>, heads: ValueId) -> Result<CacheUpdate, BuildError> {
    let wide = b.convert(heads, DType::F32)?;
    let ty = b.ty(wide)?;
    let along: Vec<usize> = (0..ty.rank().saturating_sub(1)).collect();

    let size = b.unary(UnaryKind::Abs, wide)?;
    let zero = b.constant(Literal::float(DType::F32, 0.0))?;
    let max = b.combiner(BinaryKind::Maximum, DType::F32)?;
    let greatest = b.reduce(size, zero, &[along.len()], max)?;
    let scale_ty = b.ty(greatest)?;
    // Not a division, which some compilers make this of and others do not.
    let step = b.splat(MAX_CODE.recip(), &scale_ty)?;
    let scales = b.mul(greatest, step)?;

    let is_usable = is_normal(b, scales, &scale_ty)?;
    let is_usable = b.broadcast(is_usable, &ty.dims, &along)?;
    let each = b.broadcast(scales, &ty.dims, &along)?;
    let codes = b.div(wide, each)?;
    let codes = b.unary(UnaryKind::RoundNearestEven, codes)?;
    let none = b.splat(0.0, &ty)?;
    let codes = b.select(is_usable, codes, none)?;
    Ok(CacheUpdate { elements: b.convert(codes, DType::S8)?, scales: Some(scales) })
}

/// Whether numbers that are not negative are neither zero, subnormal, infinite nor NaN.
fn is_normal(b: &mut FunctionBuilder<'_>, x: ValueId, ty: &TensorType) -> Result<ValueId, BuildError> {
    let least = b.splat(f64::from(f32::MIN_POSITIVE), ty)?;
    let most = b.splat(f64::from(f32::MAX), ty)?;
    let is_large = b.compare(Comparison::Ge, x, least)?;
    let is_finite = b.compare(Comparison::Le, x, most)?;
    b.and(is_large, is_finite)
}
