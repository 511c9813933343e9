//! Reinterpretation of bits.

use super::Limits;
use super::error::{Fault, ensure};
use super::tensor::Tensor;
use crate::dtype::DTypeKind;
use crate::element::{self, Scalar};
use crate::{DType, TensorType};

/// Elements are little-endian, so the first of several narrow elements holds the lowest bits of a wide one.
/// 4-bit integers count as 4 bits here, although they take a byte each in host memory.
pub(super) fn bitcast_convert(operand: &Tensor, to: DType, limits: &Limits) -> Result<Tensor, Fault> {
    let from = operand.dtype();
    ensure((from == DType::Pred) == (to == DType::Pred), || format!("{from} and {to} share no width"))?;
    let (old_bits, new_bits) = (from.bits(), to.bits());
    let mut dims = operand.dims().to_vec();
    if new_bits < old_bits {
        dims.push(old_bits / new_bits);
    } else if new_bits > old_bits {
        let parts = dims.pop();
        let fits = parts == Some(new_bits / old_bits);
        ensure(fits, || format!("{} has no minor dimension of {}", operand.ty(), new_bits / old_bits))?;
    }
    limits.admit(&TensorType::new(to, dims.as_slice()))?;
    let narrow: Vec<u64> = operand.scalars().map(|x| element::to_bits(from, x)).collect();
    let elements = if new_bits < old_bits {
        let parts = |word: u64| (0..old_bits / new_bits).map(move |part| word >> (part * new_bits));
        narrow.into_iter().flat_map(parts).map(|bits| from_bits(to, bits)).collect()
    } else {
        let join = |parts: &[u64]| parts.iter().rev().fold(0, |word, part| shifted(word, old_bits) | part);
        narrow.chunks(new_bits / old_bits).map(|parts| from_bits(to, join(parts))).collect()
    };
    Ok(Tensor::from_wide(to, &dims, elements)?)
}

/// `word << by`, where a shift by the whole width leaves nothing.
fn shifted(word: u64, by: usize) -> u64 {
    word.checked_shl(by as u32).unwrap_or(0)
}

/// The element whose bit pattern is in the low bits of `word`.
fn from_bits(dtype: DType, word: u64) -> Scalar {
    match dtype.kind() {
        DTypeKind::Boolean => Scalar::Bool(word & 1 == 1),
        // Rounding to an integer type keeps its low bits.
        DTypeKind::Signed | DTypeKind::Unsigned => element::round(dtype, Scalar::Int(i128::from(word))),
        DTypeKind::Float => element::read(dtype, &word.to_le_bytes(), 0).unwrap_or(Scalar::Float(f64::NAN)),
    }
}
