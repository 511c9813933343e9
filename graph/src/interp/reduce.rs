//! Reduction.

use super::body::Body;
use super::error::{Fault, ensure};
use super::index::{advance, distinct_below, others, sizes, strides};
use super::tensor::Tensor;
use crate::element::Scalar;

/// Folds the elements into the initial values in row-major order of the inputs.
///
/// `operands`: inputs, then as many scalar initial values.
pub(super) fn reduce(operands: &[Tensor], dims: &[usize], mut body: Body<'_>) -> Result<Vec<Tensor>, Fault> {
    let arity = operands.len() / 2;
    let (inputs, inits) = operands.split_at_checked(arity).unwrap_or_default();
    let Some(input) = inputs.first().filter(|_| inits.len() == arity) else {
        return Err(Fault::OperandCount { expected: 2 * arity.max(1), got: operands.len() });
    };
    let alike = inputs.iter().all(|t| t.dims() == input.dims());
    ensure(alike, || "inputs differ in dimensions".to_string())?;
    body.expect_dtypes(inits.iter().chain(inputs).map(Tensor::dtype), inits.iter().map(Tensor::dtype))?;
    let inits = inits
        .iter()
        .map(|init| init.as_scalar().ok_or_else(|| Fault::mismatch(format!("initial value {}", init.ty()))))
        .collect::<Result<Vec<_>, _>>()?;
    distinct_below("reduced dimensions", dims, input.rank())?;

    let kept = others(dims, input.rank());
    let result_dims = sizes(input.dims(), &kept);
    // Stride in the results of each input dimension: nothing moves along a reduced one.
    let mut result_strides = vec![0; input.rank()];
    for (&dim, stride) in kept.iter().zip(strides(&result_dims)) {
        if let Some(slot) = result_strides.get_mut(dim) {
            *slot = stride;
        }
    }
    let mut elements: Vec<_> = inputs.iter().map(Tensor::scalars).collect();
    let size: usize = result_dims.iter().product();
    let mut accumulators: Vec<Vec<Scalar>> = inits.into_iter().map(|init| vec![init; size]).collect();
    let mut index = vec![0; input.rank()];
    let mut arguments = Vec::with_capacity(operands.len());
    for _ in 0..input.view().len() {
        let target: usize = index.iter().zip(&result_strides).map(|(at, stride)| at * stride).sum();
        arguments.clear();
        arguments.extend(accumulators.iter().filter_map(|a| a.get(target)));
        arguments.extend(elements.iter_mut().filter_map(Iterator::next));
        for (accumulator, &value) in accumulators.iter_mut().zip(body.call(&arguments)?) {
            if let Some(slot) = accumulator.get_mut(target) {
                *slot = value;
            }
        }
        advance(&mut index, input.dims());
    }
    let tensors = body.result_dtypes().zip(accumulators);
    tensors.map(|(dtype, elements)| Ok(Tensor::from_wide(dtype, &result_dims, elements)?)).collect()
}
