//! Random codes and scales, as large as the random weights that they stand for.

use super::random::{EncodedQuantiles, NormalQuantiles};
use super::scale::Normal;
use crate::dtype::{StoredDtype, TensorDtype};
use crate::encoding::{Encoding, WeightPart};
use crate::weights::WeightSpec;
use crate::writing::Entry;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// Numbers: values, scales or offsets.
    Part(WeightPart, StoredDtype),
    /// Codes of 8 bits.
    Int8,
    /// Codes of 4 bits, two to a byte.
    Int4,
    /// Its weight's shape.
    Shape,
}

/// The tensors that a file has of a weight, in the words of the compressed-tensors format, and what fills them.
pub(super) fn tensors(weight: &WeightSpec, encoding: Encoding, dtype: StoredDtype) -> Vec<(Entry, Filling)> {
    let mut tensors = Vec::new();
    for tensor in weight.tensors(encoding) {
        let stored = tensor.dtype.unwrap_or(dtype.into());
        let mut entry = Entry { name: tensor.name, dtype: stored, dims: tensor.dims };
        let filling = match stored {
            TensorDtype::Float(dtype) => Filling::Part(tensor.part, dtype),
            TensorDtype::I4 | TensorDtype::I8 | TensorDtype::I32 | TensorDtype::I64 => Filling::Int8,
            TensorDtype::U8 => {
                entry.dtype = TensorDtype::I32;
                if let Some(bytes) = entry.dims.last_mut() {
                    *bytes /= TensorDtype::I32.size();
                }
                Filling::Int4
            }
        };
        tensors.push((entry, filling));
    }
    if let Encoding::Int4(_) = encoding {
        let (name, dims) = (format!("{}_shape", weight.name), vec![weight.dims.len()]);
        tensors.push((Entry { name, dtype: TensorDtype::I64, dims }, Filling::Shape));
    }
    tensors
}

impl Filling {
    /// The elements (of codes of 4 bits, the bytes) that weights distributed so come to; `None` for a shape.
    pub(super) fn quantiles(
        self,
        quantiles: &NormalQuantiles,
        encoding: Encoding,
        weights: Normal,
    ) -> Option<EncodedQuantiles> {
        let codes = weights.of_part(WeightPart::Codes, encoding);
        match self {
            Self::Part(part, dtype) => {
                let Normal { mean, std } = weights.of_part(part, encoding);
                Some(quantiles.encoded(mean, std, dtype))
            }
            Self::Int8 => Some(quantiles.int8(codes.std)),
            Self::Int4 => Some(quantiles.int4_pairs(codes.std)),
            Self::Shape => None,
        }
    }
}
