//! The three vocabularies of element types: stored, in the graph, on the device.

use lapidary_graph::DType;
use lapidary_models::dtype::{StoredDtype, TensorDtype};
use lapidary_runtime::ElementType;

/// The dtype to compute in, given how the weights are stored. f16 has more mantissa than bf16 and less range than the
/// activations of larger Gemmas need, so only f32 does it justice; beside weights in few bits, what it has more is
/// nothing to theirs.
pub fn preferred_dtype(stored: StoredDtype, encoded: bool) -> DType {
    match stored {
        StoredDtype::Bf16 => DType::BF16,
        StoredDtype::F16 if encoded => DType::BF16,
        StoredDtype::F32 | StoredDtype::F16 => DType::F32,
    }
}

/// The dtype of tensors whose bytes are those of `dtype` in host memory.
pub(super) fn stored(dtype: DType) -> Option<TensorDtype> {
    match dtype {
        DType::BF16 => Some(StoredDtype::Bf16.into()),
        DType::F16 => Some(StoredDtype::F16.into()),
        DType::F32 => Some(StoredDtype::F32.into()),
        DType::S4 => Some(TensorDtype::I4),
        DType::S8 => Some(TensorDtype::I8),
        DType::U8 => Some(TensorDtype::U8),
        DType::S32 => Some(TensorDtype::I32),
        DType::S64 => Some(TensorDtype::I64),
        DType::Pred
        | DType::S16
        | DType::U4
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::F8E4M3FN
        | DType::F8E5M2
        | DType::F64 => None,
    }
}

/// The device's name for a graph's dtype.
pub(super) fn element_type(dtype: DType) -> ElementType {
    match dtype {
        DType::Pred => ElementType::Pred,
        DType::S4 => ElementType::S4,
        DType::S8 => ElementType::S8,
        DType::S16 => ElementType::S16,
        DType::S32 => ElementType::S32,
        DType::S64 => ElementType::S64,
        DType::U4 => ElementType::U4,
        DType::U8 => ElementType::U8,
        DType::U16 => ElementType::U16,
        DType::U32 => ElementType::U32,
        DType::U64 => ElementType::U64,
        DType::F8E4M3FN => ElementType::F8E4M3FN,
        DType::F8E5M2 => ElementType::F8E5M2,
        DType::BF16 => ElementType::BF16,
        DType::F16 => ElementType::F16,
        DType::F32 => ElementType::F32,
        DType::F64 => ElementType::F64,
    }
}
