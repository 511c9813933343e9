//! Indices: checks of dimension lists, and walks through index spaces in row-major order.

use super::error::{Fault, ensure};

/// Fails unless the dimensions listed in `dims` are distinct and below `rank`.
pub(super) fn distinct_below(what: &str, dims: &[usize], rank: usize) -> Result<(), Fault> {
    let mut seen = vec![false; rank];
    for &dim in dims {
        let fresh = seen.get_mut(dim).is_some_and(|seen| !std::mem::replace(seen, true));
        ensure(fresh, || format!("{what} {dims:?} are not distinct dimensions of rank {rank}"))?;
    }
    Ok(())
}

/// Fails unless `got` attribute entries match the `rank` they are for.
pub(super) fn one_per_dimension(what: &str, got: usize, rank: usize) -> Result<(), Fault> {
    ensure(got == rank, || format!("{got} {what} for {rank} dimensions"))
}

/// The dimensions below `rank` that are not in `dims`, in order.
pub(super) fn others(dims: &[usize], rank: usize) -> Vec<usize> {
    (0..rank).filter(|d| !dims.contains(d)).collect()
}

/// The sizes of the dimensions listed in `dims`; those out of range are left out.
pub(super) fn sizes(of: &[usize], dims: &[usize]) -> Vec<usize> {
    dims.iter().filter_map(|&d| of.get(d).copied()).collect()
}

/// Elements from one index to the next along each dimension of a row-major array.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; dims.len()];
    let mut stride = 1usize;
    for (slot, &size) in strides.iter_mut().zip(dims).rev() {
        *slot = stride;
        stride = stride.saturating_mul(size);
    }
    strides
}

/// The permutation that undoes `permutation`.
pub(super) fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse: Vec<usize> = (0..permutation.len()).collect();
    inverse.sort_by_key(|&axis| permutation.get(axis));
    inverse
}

/// Moves `index` to the next of the space `dims` in row-major order, and after the last to the first.
pub(super) fn advance(index: &mut [usize], dims: &[usize]) {
    for (at, &size) in index.iter_mut().zip(dims).rev() {
        *at += 1;
        if *at < size {
            return;
        }
        *at = 0;
    }
}

/// `start` moved so that a box of `size` lies within a dimension of `dim` elements.
pub(super) fn clamp_start(start: i128, size: usize, dim: usize) -> usize {
    let last = dim.saturating_sub(size);
    usize::try_from(start.max(0)).map_or(last, |start| start.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_walks_row_major_and_starts_over() {
        let mut index = [0, 0];
        let walk: Vec<[usize; 2]> = (0..5)
            .map(|_| {
                let here = index;
                advance(&mut index, &[2, 2]);
                here
            })
            .collect();
        assert_eq!(walk, [[0, 0], [0, 1], [1, 0], [1, 1], [0, 0]]);
    }

    #[test]
    fn permutations_invert_and_strides_multiply() {
        assert_eq!(inverse(&[2, 0, 1]), [1, 2, 0]);
        assert_eq!(strides(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(others(&[1], 3), [0, 2]);
    }

    #[test]
    fn starts_are_clamped_into_the_operand() {
        assert_eq!(clamp_start(-5, 2, 7), 0);
        assert_eq!(clamp_start(6, 2, 7), 5);
        assert_eq!(clamp_start(i128::MAX, 2, 7), 5);
        assert_eq!(clamp_start(3, 2, 7), 3);
    }

    #[test]
    fn lists_of_dimensions_are_checked() {
        assert!(distinct_below("dims", &[0, 2], 3).is_ok());
        assert!(distinct_below("dims", &[0, 0], 3).is_err());
        assert!(distinct_below("dims", &[3], 3).is_err());
    }
}
