//! Weights in few bits: integer codes, and a scale for each group of neighbouring inputs of one output.

use crate::infer::{DTypeClass, InferError, Role};
use crate::op::BinaryKind;
use crate::{BuildError, DType, FunctionBuilder, TensorType, ValueId};

/// What a matrix product multiplies by, or an embedding takes rows of: a matrix `[out, in]`.
#[derive(Clone, Copy, Debug)]
pub enum Weight {
    /// The matrix itself.
    Dense(ValueId),
    /// A matrix in few bits.
    Encoded(EncodedWeight),
}

/// A matrix `[out, in]` in few bits: `w[o, i] = scale[o, i / group] * q[o, i] + offset[o, i / group]`, where `group`
/// is `in` over the number of groups. With one group, there is one scale for each output.
///
/// In 4 bits, byte `j` of a row has element `2j` in its low half and element `2j + 1` in its high one, each as
/// `q + 8`. That is how the compressed-tensors format packs them.
///
/// The same may be arranged *by groups*, for compilers that fuse products only of such: codes `[groups, out, group]`, and
/// scales and offsets `[groups, out]`.
#[derive(Clone, Copy, Debug)]
pub struct EncodedWeight {
    /// The codes `q`: 8 bits as S8 `[out, in]`, or 4 bits as U8 `[out, in / 2]`; by groups as S8 or S4
    /// `[groups, out, group]`.
    pub codes: ValueId,
    /// The scales: floats `[out, groups]`; by groups `[groups, out]`.
    pub scales: ValueId,
    /// What is added after the scale, floats of the scales' dimensions; zero if absent.
    pub offsets: Option<ValueId>,
}

impl From<ValueId> for Weight {
    fn from(matrix: ValueId) -> Self {
        Self::Dense(matrix)
    }
}

impl From<EncodedWeight> for Weight {
    fn from(weight: EncodedWeight) -> Self {
        Self::Encoded(weight)
    }
}

impl EncodedWeight {
    /// The same of each of its tensors.
    pub(super) fn try_map(
        self,
        mut map: impl FnMut(ValueId) -> Result<ValueId, BuildError>,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            codes: map(self.codes)?,
            scales: map(self.scales)?,
            offsets: self.offsets.map(map).transpose()?,
        })
    }

    /// Checks element types, and that there are scales and offsets for the codes' rows. Whether groups divide a row
    /// shows when it is decoded.
    ///
    /// # Errors
    /// If there are not, about `inputs[0]` (codes), `inputs[1]` (scales) or `inputs[2]` (offsets).
    pub(super) fn check(self, b: &FunctionBuilder<'_>) -> Result<(), BuildError> {
        let (codes, scales) = (b.ty(self.codes)?, b.ty(self.scales)?);
        let offsets = self.offsets.map(|offsets| b.ty(offsets)).transpose()?;
        let wrong = check(&codes, &scales, offsets.as_ref());
        wrong.map_err(|source| {
            b.error("encoded weight", [codes, scales].into_iter().chain(offsets).collect(), source)
        })
    }

    /// The numbers `[..., in]` of codes `[..., in]` or `[..., in / 2]` with scales `[..., groups]`: computed in f32,
    /// rounded once to `dtype`.
    ///
    /// # Errors
    /// If the groups do not divide a row.
    pub(super) fn decode(self, b: &mut FunctionBuilder<'_>, dtype: DType) -> Result<ValueId, BuildError> {
        let codes = self.integers(b, DType::F32)?;
        let dims = b.ty(codes)?.dims;
        let scales = of_each_element(b, self.scales, &dims)?;
        let mut numbers = b.mul(codes, scales)?;
        if let Some(offsets) = self.offsets {
            let offsets = of_each_element(b, offsets, &dims)?;
            numbers = b.add(numbers, offsets)?;
        }
        b.convert(numbers, dtype)
    }

    /// The codes as whole numbers of type `dtype`, `[..., in]`, or `[groups, out, group]` if they are by groups.
    pub(super) fn integers(self, b: &mut FunctionBuilder<'_>, dtype: DType) -> Result<ValueId, BuildError> {
        let codes = match b.ty(self.codes)?.dtype {
            DType::U8 => nibbles(b, self.codes)?,
            _ => self.codes,
        };
        b.convert(codes, dtype)
    }
}

fn check(codes: &TensorType, scales: &TensorType, offsets: Option<&TensorType>) -> Result<(), InferError> {
    let dtype = |operand, got: &TensorType, expected: DTypeClass| match expected.contains(got.dtype) {
        true => Ok(()),
        false => Err(InferError::DType { operand: Role::Input(operand), got: got.dtype, expected }),
    };
    let by_groups = codes.rank() == 3;
    dtype(0, codes, if by_groups { DTypeClass::S4OrS8 } else { DTypeClass::S8OrU8 })?;
    dtype(1, scales, DTypeClass::Float)?;
    let rank = if by_groups { 2 } else { codes.rank() };
    if scales.rank() != rank {
        let got = Box::new(scales.clone());
        return Err(InferError::Rank { operand: Role::Input(1), got, expected: rank });
    }
    let rows = codes.dims.iter().zip(&scales.dims).take(codes.rank().saturating_sub(1));
    if let Some((axis, (&like_size, &size))) = rows.enumerate().find(|(_, (codes, scales))| codes != scales) {
        let (operand, like) = (Role::Input(1), Role::Input(0));
        return Err(InferError::SizeMismatch { operand, axis, size, like, like_axis: axis, like_size });
    }
    let Some(offsets) = offsets else { return Ok(()) };
    dtype(2, offsets, DTypeClass::Float)?;
    if offsets.dims != scales.dims {
        let (got, expected) = (Box::new(offsets.clone()), Box::new(scales.clone()));
        let (operand, like) = (Role::Input(2), Role::Input(1));
        return Err(InferError::ShapeMismatch { operand, got, like, expected });
    }
    Ok(())
}

/// The elements of bytes that hold two of 4 bits each: `[..., n]` to S8 `[..., 2 n]`.
fn nibbles(b: &mut FunctionBuilder<'_>, bytes: ValueId) -> Result<ValueId, BuildError> {
    let ty = b.ty(bytes)?;
    let last = ty.rank().saturating_sub(1);
    let halves = ty.with_dims([&ty.dims[..], &[2]].concat());
    let bytes = b.broadcast(bytes, &halves.dims, &(0..ty.rank()).collect::<Vec<_>>())?;
    // Arithmetic on elements, which fuses into whatever comes after it; types of 4 bits do not everywhere.
    let half = b.iota(halves.clone(), ty.rank())?;
    let width = b.splat(4.0, &halves)?;
    let shift = b.mul(half, width)?;
    let shifted = b.binary(BinaryKind::ShiftRightLogical, bytes, shift)?;
    let mask = b.splat(15.0, &halves)?;
    let code = b.and(shifted, mask)?;
    let code = b.convert(code, DType::S8)?;
    let middle = b.splat(8.0, &halves.with_dtype(DType::S8))?;
    let code = b.sub(code, middle)?;
    let mut elements = ty.dims;
    if let Some(size) = elements.get_mut(last) {
        *size = size.saturating_mul(2);
    }
    b.reshape(code, &elements)
}

/// What groups of a row have, `[..., groups]`, as f32 of each element, `[..., in]`.
fn of_each_element(
    b: &mut FunctionBuilder<'_>,
    of_groups: ValueId,
    dims: &[usize],
) -> Result<ValueId, BuildError> {
    let of_groups = b.convert(of_groups, DType::F32)?;
    let ty = b.ty(of_groups)?;
    let (Some((&groups, rows)), Some(&inputs)) = (ty.dims.split_last(), dims.last()) else {
        return Ok(of_groups);
    };
    if groups == 1 {
        let of_rows = b.reshape(of_groups, rows)?;
        return b.broadcast(of_rows, dims, &(0..rows.len()).collect::<Vec<_>>());
    }
    let grouped = [rows, &[groups, inputs.checked_div(groups).unwrap_or(0)]].concat();
    let each = b.broadcast(of_groups, &grouped, &(0..ty.rank()).collect::<Vec<_>>())?;
    // Refuses groups that do not divide a row.
    b.reshape(each, dims)
}
