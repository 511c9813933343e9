//! A layer whose slices have been checked against each other.

use half::bf16;
use half::slice::HalfFloatSliceExt;

use super::{Codes, EncodedWeight, Scales};
#[cfg(target_arch = "x86_64")]
use crate::dot::wide;
use crate::{LinearResult, LinearShape};

/// Operands of a quantized linear layer that do not fit together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantizedLinearError {
    /// A slice is not of the size that it is said to be.
    #[error("{operand} of a quantized linear layer: {found} elements, not {rows} x {columns}")]
    Size {
        /// Which slice.
        operand: &'static str,
        /// Rows that it should have.
        rows: usize,
        /// Elements that each should have.
        columns: usize,
        /// Elements that it has.
        found: usize,
    },
    /// The inputs cannot be cut in that many groups of one size.
    #[error("{inputs} inputs of a quantized linear layer are not {groups} groups of one size")]
    Groups {
        /// Elements of a row.
        inputs: usize,
        /// Groups of a row.
        groups: usize,
    },
    /// A group of int4 is not a whole number of bytes.
    #[error("a group of {group} elements of int4 ends within a byte: groups of an even size are needed")]
    OddGroup {
        /// Elements of a group.
        group: usize,
    },
}

/// A layer whose sizes are right.
pub(super) struct Layer<'a> {
    pub(super) shape: LinearShape,
    /// `[rows, inputs]`.
    pub(super) x: &'a [bf16],
    pub(super) weight: EncodedWeight<'a>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(
        shape: LinearShape,
        x: &'a [bf16],
        weight: EncodedWeight<'a>,
        out: &LinearResult<'_>,
    ) -> Result<Self, QuantizedLinearError> {
        let LinearShape { rows, inputs, outputs } = shape;
        let groups = weight.groups;
        if (groups == 0 && inputs > 0) || (groups > 0 && !inputs.is_multiple_of(groups)) {
            return Err(QuantizedLinearError::Groups { inputs, groups });
        }
        let group = inputs.checked_div(groups).unwrap_or(0);
        let (codes, code_bytes) = match weight.codes {
            Codes::Int8(codes) => (codes.len(), inputs),
            Codes::Int4(_) if !group.is_multiple_of(2) => {
                return Err(QuantizedLinearError::OddGroup { group });
            }
            Codes::Int4(codes) => (codes.len(), inputs / 2),
        };
        let scales = match weight.scales {
            Scales::Bf16(scales) => scales.len(),
            Scales::F16(scales) => scales.len(),
            Scales::F32(scales) => scales.len(),
        };
        let out = match out {
            LinearResult::Bf16(out) => out.len(),
            LinearResult::F32(out) => out.len(),
        };
        let sizes = [
            ("x", rows, inputs, x.len()),
            ("codes", outputs, code_bytes, codes),
            ("scales", outputs, groups, scales),
            ("offsets", outputs, groups, weight.offsets.map_or(outputs.saturating_mul(groups), <[f32]>::len)),
            ("result", rows, outputs, out),
        ];
        for (operand, rows, columns, found) in sizes {
            if rows.checked_mul(columns) != Some(found) {
                return Err(QuantizedLinearError::Size { operand, rows, columns, found });
            }
        }
        Ok(Self { shape, x, weight })
    }

    pub(super) fn codes(&self) -> Codes<'a> {
        self.weight.codes
    }

    /// Groups of an output.
    pub(super) fn groups(&self) -> usize {
        self.weight.groups
    }

    /// Elements of a group; there are inputs.
    pub(super) fn group(&self) -> usize {
        self.shape.inputs / self.weight.groups
    }

    /// Bytes of the codes of one output, at least 1; there are inputs.
    pub(super) fn row_bytes(&self) -> usize {
        match self.weight.codes {
            Codes::Int8(_) => self.shape.inputs,
            Codes::Int4(_) => self.shape.inputs / 2,
        }
    }

    /// The codes of one output.
    pub(super) fn row(&self, output: usize) -> &'a [u8] {
        let bytes = match self.weight.codes {
            // SAFETY: bytes are bytes, signed or not.
            Codes::Int8(codes) => unsafe {
                std::slice::from_raw_parts(codes.as_ptr().cast::<u8>(), codes.len())
            },
            Codes::Int4(codes) => codes,
        };
        let size = self.row_bytes();
        bytes.get(output * size..(output + 1) * size).unwrap_or_default()
    }

    /// Writes the scales of one output to the first elements of `to`, of which there is one for each group.
    pub(super) fn scales(&self, output: usize, to: &mut [f32]) {
        let groups = self.weight.groups;
        let (Some(to), range) = (to.get_mut(..groups), output * groups..(output + 1) * groups) else {
            return;
        };
        match self.weight.scales {
            Scales::Bf16(scales) => scales.get(range).unwrap_or_default().convert_to_f32_slice(to),
            Scales::F16(scales) => scales.get(range).unwrap_or_default().convert_to_f32_slice(to),
            Scales::F32(scales) => to.copy_from_slice(scales.get(range).unwrap_or_default()),
        }
    }

    /// The scale of a group of an output, both of which there are.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn scale(&self, output: usize, group: usize) -> f32 {
        let at = output * self.weight.groups + group;
        match self.weight.scales {
            Scales::Bf16(scales) => wide(scales[at]),
            Scales::F16(scales) => scales[at].to_f32(),
            Scales::F32(scales) => scales[at],
        }
    }

    /// The offset of a group of an output, both of which there are: zero if the weight has none.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn offset(&self, output: usize, group: usize) -> f32 {
        self.weight.offsets.map_or(0.0, |offsets| offsets[output * self.weight.groups + group])
    }

    /// The offsets of one output, one for each group, if the weight has some.
    pub(super) fn offsets(&self, output: usize) -> Option<&'a [f32]> {
        let groups = self.weight.groups;
        self.weight
            .offsets
            .map(|offsets| offsets.get(output * groups..(output + 1) * groups).unwrap_or_default())
    }

    /// The row of `x`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn x_row(&self, row: usize) -> &'a [bf16] {
        let inputs = self.shape.inputs;
        self.x.get(row * inputs..(row + 1) * inputs).unwrap_or_default()
    }

    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets; there are inputs.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(super) fn group_sums(&self) -> Vec<f32> {
        match self.weight.offsets {
            Some(_) => {
                let sum = |x: &[bf16]| x.iter().map(|x| x.to_f32()).sum();
                self.x.chunks(self.group()).map(sum).collect()
            }
            None => Vec::new(),
        }
    }

    /// What the offsets of an output add to its sum for a row, by the sums of [`group_sums`](Self::group_sums).
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[inline]
    pub(super) fn offsets_times(&self, group_sums: &[f32], row: usize, output: usize) -> f32 {
        let Some(offsets) = self.offsets(output) else { return 0.0 };
        let sums = group_sums.get(row * offsets.len()..).unwrap_or_default();
        sums.iter().zip(offsets).map(|(sum, offset)| sum * offset).sum()
    }
}
