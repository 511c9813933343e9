//! Sorting.

use super::body::Body;
use super::error::{Fault, ensure};
use super::index::{inverse, others};
use super::tensor::Tensor;
use crate::element::Scalar;

/// Sorts the operands together along `dim`; always stably, which an unstable sort permits.
pub(super) fn sort(operands: &[Tensor], dim: usize, mut comparator: Body<'_>) -> Result<Vec<Tensor>, Fault> {
    let first = operands.first().ok_or(Fault::OperandCount { expected: 1, got: 0 })?;
    let alike = operands.iter().all(|t| t.dims() == first.dims());
    ensure(alike, || "operands differ in dimensions".to_string())?;
    comparator.expect_dtypes(operands.iter().flat_map(|t| [t.dtype(); 2]), [crate::DType::Pred])?;
    let length =
        *first.dims().get(dim).ok_or_else(|| Fault::mismatch(format!("sorts along dimension {dim}")))?;

    let mut dim_last = others(&[dim], first.rank());
    dim_last.push(dim);
    let mut columns: Vec<Vec<Scalar>> = operands
        .iter()
        .map(|t| t.view().permuted_axes(dim_last.as_slice()).iter().copied().collect())
        .collect();
    let lines = first.view().len().checked_div(length).unwrap_or(0);
    for line in 0..lines {
        let range = line * length..(line + 1) * length;
        let mut segments: Vec<&mut [Scalar]> =
            columns.iter_mut().filter_map(|column| column.get_mut(range.clone())).collect();
        let order = sorted_order(length, |a, b| comes_before(&mut comparator, &segments, a, b))?;
        for segment in &mut segments {
            let sorted: Vec<Scalar> = order.iter().filter_map(|&at| segment.get(at).copied()).collect();
            segment.copy_from_slice(&sorted);
        }
    }

    let permuted_dims: Vec<usize> = dim_last.iter().filter_map(|&d| first.dims().get(d).copied()).collect();
    let order = inverse(&dim_last);
    let tensors = operands.iter().zip(columns);
    tensors
        .map(|(t, column)| {
            let sorted = Tensor::from_wide(t.dtype(), &permuted_dims, column)?;
            Ok(Tensor::from_view(t.dtype(), &sorted.view().permuted_axes(order.as_slice())))
        })
        .collect()
}

fn comes_before(
    comparator: &mut Body<'_>,
    segments: &[&mut [Scalar]],
    a: usize,
    b: usize,
) -> Result<bool, Fault> {
    let pairs = segments.iter().flat_map(|segment| [segment.get(a), segment.get(b)]);
    let arguments: Vec<Scalar> = pairs.flatten().copied().collect();
    Ok(comparator.call(&arguments)?.first().is_some_and(|before| before.as_bool()))
}

/// The stable merge sort of `0..length`. Unlike the standard library's sorts it takes a comparator that may
/// fail, and one that is no strict weak order still gives a permutation.
fn sorted_order(
    length: usize,
    mut before: impl FnMut(usize, usize) -> Result<bool, Fault>,
) -> Result<Vec<usize>, Fault> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut run = 1;
    while run < length {
        let mut merged = Vec::with_capacity(length);
        for pair in order.chunks(2 * run) {
            let (left, right) = pair.split_at(run.min(pair.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let (Some(&&l), Some(&&r)) = (left.peek(), right.peek()) {
                // Only a strictly smaller element on the right overtakes: that is what makes it stable.
                if before(r, l)? {
                    merged.push(r);
                    right.next();
                } else {
                    merged.push(l);
                    left.next();
                }
            }
            merged.extend(left.chain(right));
        }
        order = merged;
        run *= 2;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_sort_is_stable_and_survives_any_comparator() {
        let keys = [3, 1, 2, 1, 3, 0, 2];
        let order = sorted_order(keys.len(), |a, b| Ok(keys[a] < keys[b])).unwrap();
        assert_eq!(order, [5, 1, 3, 2, 6, 0, 4]);
        for constant in [true, false] {
            let mut order = sorted_order(13, |_, _| Ok(constant)).unwrap();
            order.sort_unstable();
            assert_eq!(order, (0..13).collect::<Vec<_>>());
        }
        assert!(sorted_order(2, |_, _| Err(Fault::mismatch("no"))).is_err());
    }
}
