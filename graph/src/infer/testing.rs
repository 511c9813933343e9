//! Inference on types written as text, for tests.

use std::str::FromStr;

use super::{Callees, infer};
use crate::{DType, FuncId, FunctionType, Op, TensorType};

/// `f32[2,3]` as a type.
pub(super) fn ty(text: &str) -> TensorType {
    let (dtype, dims) = text.strip_suffix(']').unwrap().split_once('[').unwrap();
    let dims: Vec<usize> = dims.split(',').filter(|d| !d.is_empty()).map(|d| d.parse().unwrap()).collect();
    TensorType::new(DType::from_str(dtype).unwrap(), dims)
}

/// Types separated by blanks.
fn types(text: &str) -> Vec<TensorType> {
    text.split_whitespace().map(ty).collect()
}

/// Functions that an op under test may refer to; function `i` is called `f{i}`.
pub(super) struct Functions(Vec<(String, FunctionType)>);

impl Functions {
    /// Functions of types such as `f32[] f32[] -> f32[]`.
    pub(super) fn of(signatures: &[&str]) -> Self {
        let function = |(i, signature): (usize, &&str)| {
            let (params, results) = signature.split_once("->").unwrap();
            (format!("f{i}"), FunctionType { params: types(params), results: types(results) })
        };
        Self(signatures.iter().enumerate().map(function).collect())
    }

    /// Asserts that inference gives these types.
    #[track_caller]
    pub(super) fn accepts(&self, op: &Op, operands: &str, results: &str) {
        assert_eq!(self.infer(op, operands), Ok(types(results)), "{} on {operands}", op.name());
    }

    /// Asserts that inference fails with this message.
    #[track_caller]
    pub(super) fn rejects(&self, op: &Op, operands: &str, message: &str) {
        assert_eq!(self.infer(op, operands), Err(message.to_string()), "{} on {operands}", op.name());
    }

    fn infer(&self, op: &Op, operands: &str) -> Result<Vec<TensorType>, String> {
        let operands = types(operands);
        let operands: Vec<&TensorType> = operands.iter().collect();
        infer(op, &operands, self).map_err(|error| error.to_string())
    }
}

impl Callees for Functions {
    fn function_type(&self, id: FuncId) -> Option<FunctionType> {
        self.0.get(id.index()).map(|(_, ty)| ty.clone())
    }

    fn function_name(&self, id: FuncId) -> Option<&str> {
        self.0.get(id.index()).map(|(name, _)| name.as_str())
    }
}

/// [`Functions::accepts`] for an op that refers to no function.
#[track_caller]
pub(super) fn accepts(op: &Op, operands: &str, results: &str) {
    Functions::of(&[]).accepts(op, operands, results);
}

/// [`Functions::rejects`] for an op that refers to no function.
#[track_caller]
pub(super) fn rejects(op: &Op, operands: &str, message: &str) {
    Functions::of(&[]).rejects(op, operands, message);
}
