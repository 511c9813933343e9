//! Generalised matrix products.

use ndarray::ArrayView2;

use super::Limits;
use super::error::{Fault, ensure};
use super::index::{distinct_below, others, sizes};
use super::tensor::Tensor;
use crate::element::{self, Scalar};
use crate::op::DotDims;
use crate::{DType, TensorType};

/// Products of floats are exact in `f64` up to `f32`, are summed in `f64` and rounded once to `result`;
/// integers (and booleans, as 0 and 1) are summed exactly modulo 2^128 and wrapped once. The precision
/// attribute therefore has no bearing here.
pub(super) fn dot_general(
    lhs: &Tensor,
    rhs: &Tensor,
    dims: &DotDims,
    result: DType,
    limits: &Limits,
) -> Result<Tensor, Fault> {
    let lhs_side = Side::new("left", lhs, &dims.lhs_batch, &dims.lhs_contract)?;
    let rhs_side = Side::new("right", rhs, &dims.rhs_batch, &dims.rhs_contract)?;
    let paired = lhs_side.batch == rhs_side.batch && lhs_side.contracted == rhs_side.contracted;
    ensure(paired, || format!("{} and {} differ in batch or contracted dimensions", lhs.ty(), rhs.ty()))?;
    let result_dims = [lhs_side.batch.as_slice(), &lhs_side.free, &rhs_side.free].concat();
    limits.admit(&TensorType::new(result, result_dims.as_slice()))?;

    let batches: usize = lhs_side.batch.iter().product();
    let depth: usize = lhs_side.contracted.iter().product();
    let (rows, columns): (usize, usize) = (lhs_side.free.iter().product(), rhs_side.free.iter().product());
    let mut elements = Vec::new();
    for batch in 0..batches {
        let left = lhs_side.matrix(batch, rows * depth);
        let right = rhs_side.matrix(batch, columns * depth);
        if lhs.dtype().is_float() || rhs.dtype().is_float() {
            float_product(left, right, [rows, columns, depth], &mut elements)?;
        } else {
            integer_product(left, right, [rows, columns, depth], &mut elements);
        }
    }
    for element in &mut elements {
        *element = element::round(result, *element);
    }
    Ok(Tensor::from_wide(result, &result_dims, elements)?)
}

/// One operand, its elements in the order batch, free, contracted.
struct Side {
    batch: Vec<usize>,
    free: Vec<usize>,
    contracted: Vec<usize>,
    elements: Vec<Scalar>,
}

impl Side {
    fn new(which: &str, operand: &Tensor, batch: &[usize], contracted: &[usize]) -> Result<Self, Fault> {
        let named = [batch, contracted].concat();
        distinct_below(
            &format!("batch and contracted dimensions of the {which} operand"),
            &named,
            operand.rank(),
        )?;
        let free = others(&named, operand.rank());
        let order = [batch, &free, contracted].concat();
        Ok(Self {
            batch: sizes(operand.dims(), batch),
            free: sizes(operand.dims(), &free),
            contracted: sizes(operand.dims(), contracted),
            elements: operand.view().permuted_axes(order).iter().copied().collect(),
        })
    }

    /// The `size` elements of one batch index.
    fn matrix(&self, batch: usize, size: usize) -> &[Scalar] {
        self.elements.get(batch * size..(batch + 1) * size).unwrap_or_default()
    }
}

/// Appends the product of `left` `[rows, depth]` and the transpose of `right` `[columns, depth]`.
fn float_product(
    left: &[Scalar],
    right: &[Scalar],
    [rows, columns, depth]: [usize; 3],
    out: &mut Vec<Scalar>,
) -> Result<(), Fault> {
    let left: Vec<f64> = left.iter().map(|x| x.as_f64()).collect();
    let right: Vec<f64> = right.iter().map(|x| x.as_f64()).collect();
    let matrix =
        |data, rows| ArrayView2::from_shape((rows, depth), data).map_err(|e| Fault::mismatch(e.to_string()));
    let product = matrix(&left, rows)?.dot(&matrix(&right, columns)?.t());
    out.extend(product.iter().map(|&x| Scalar::Float(x)));
    Ok(())
}

/// As [`float_product`], for integers.
fn integer_product(
    left: &[Scalar],
    right: &[Scalar],
    [rows, columns, depth]: [usize; 3],
    out: &mut Vec<Scalar>,
) {
    let left: Vec<i128> = left.iter().map(|x| x.as_i128()).collect();
    let right: Vec<i128> = right.iter().map(|x| x.as_i128()).collect();
    for row in 0..rows {
        let left = left.get(row * depth..(row + 1) * depth).unwrap_or_default();
        for column in 0..columns {
            let right = right.get(column * depth..(column + 1) * depth).unwrap_or_default();
            let products = left.iter().zip(right).map(|(a, b)| a.wrapping_mul(*b));
            out.push(Scalar::Int(products.fold(0, i128::wrapping_add)));
        }
    }
}
