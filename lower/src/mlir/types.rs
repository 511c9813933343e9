//! Tensor types as StableHLO spells them.

use std::fmt;

use lapidary_graph::{DType, TensorType};

use super::list;

/// The element type's name. Signed integers are signless in MLIR, as StableHLO has them.
pub(crate) fn element(dtype: DType) -> &'static str {
    match dtype {
        DType::Pred => "i1",
        DType::S4 => "i4",
        DType::S8 => "i8",
        DType::S16 => "i16",
        DType::S32 => "i32",
        DType::S64 => "i64",
        DType::U4 => "ui4",
        DType::U8 => "ui8",
        DType::U16 => "ui16",
        DType::U32 => "ui32",
        DType::U64 => "ui64",
        DType::F8E4M3FN => "f8E4M3FN",
        DType::F8E5M2 => "f8E5M2",
        DType::BF16 => "bf16",
        DType::F16 => "f16",
        DType::F32 => "f32",
        DType::F64 => "f64",
    }
}

/// `tensor<2x3xf32>`.
pub(crate) struct Type<'a>(pub(crate) &'a TensorType);

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor<")?;
        for dim in &self.0.dims {
            write!(f, "{dim}x")?;
        }
        write!(f, "{}>", element(self.0.dtype))
    }
}

/// Types separated by commas.
pub(crate) struct Types<'a>(pub(crate) &'a [TensorType]);

impl fmt::Display for Types<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0.iter().map(Type))
    }
}

/// `(operands) -> result` or `(operands) -> (results)`.
pub(crate) struct FunctionSignature<'a> {
    pub(crate) operands: &'a [TensorType],
    pub(crate) results: &'a [TensorType],
}

impl fmt::Display for FunctionSignature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) -> ", Types(self.operands))?;
        match self.results {
            [result] => write!(f, "{}", Type(result)),
            results => write!(f, "({})", Types(results)),
        }
    }
}
