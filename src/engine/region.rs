//! Where a rectangular part of a row-major array lies in it.

use std::ops::Range;

/// Elements that are neighbours both in the whole array and in the array that holds the part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// Number of the first element in the whole array.
    pub(super) whole: usize,
    /// Number of the same element in the part.
    pub(super) part: usize,
    /// How many elements follow each other.
    pub(super) len: usize,
}

/// The runs that the part `ranges` of an array of shape `dims` consists of, in order. The part is held in an array
/// of shape `held`, which may be larger: then the part is at its start in each dimension.
///
/// Nothing if the three do not have the same number of dimensions, or the part exceeds either array.
pub(super) fn runs(
    dims: &[usize],
    ranges: &[Range<usize>],
    held: &[usize],
) -> impl Iterator<Item = Run> + use<> {
    let fits = dims.len() == ranges.len()
        && dims.len() == held.len()
        && dims.iter().zip(held).zip(ranges).all(|((&dim, &held), r)| r.end <= dim && r.len() <= held);
    // A run spans the trailing dimensions that are whole in both arrays, and a range of the one before them.
    let is_whole =
        |((dim, held), range): &((&usize, &usize), &Range<usize>)| **range == (0..**dim) && held == dim;
    let trailing = dims.iter().zip(held).zip(ranges).skip(1).rev().take_while(is_whole).count();
    let outer = dims.len().saturating_sub(trailing + 1);
    let len = ranges.iter().skip(outer).map(|range| range.len()).product();

    let mut axes = Vec::with_capacity(dims.len());
    let (mut whole_stride, mut part_stride) = (1, 1);
    for ((dim, held), range) in dims.iter().zip(held).zip(ranges).rev() {
        axes.push(Axis { start: range.start, count: range.len(), whole: whole_stride, part: part_stride });
        (whole_stride, part_stride) = (whole_stride * dim, part_stride * held);
    }
    // From here on minor to major, without those that a run spans.
    let first: usize = axes.iter().map(|axis| axis.start * axis.whole).sum();
    axes.drain(..axes.len().saturating_sub(outer));
    let count: usize = if fits && len > 0 { axes.iter().map(|axis| axis.count).product() } else { 0 };
    (0..count).map(move |number| {
        let (mut rest, mut run) = (number, Run { whole: first, part: 0, len });
        for axis in &axes {
            let index = rest % axis.count;
            rest /= axis.count;
            run.whole += index * axis.whole;
            run.part += index * axis.part;
        }
        run
    })
}

/// One dimension of a part: where it starts, how far it goes, and the distance between neighbours.
struct Axis {
    start: usize,
    count: usize,
    whole: usize,
    part: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of `0, 1, 2, ...` in `dims`, in an array of shape `held` whose other elements are -1.
    fn cut(dims: &[usize], ranges: &[Range<usize>], held: &[usize]) -> (Vec<i64>, usize) {
        let mut part = vec![-1; held.iter().product()];
        let mut count = 0;
        for Run { whole, part: at, len } in runs(dims, ranges, held) {
            (0..len).for_each(|i| part[at + i] = (whole + i) as i64);
            count += 1;
        }
        (part, count)
    }

    #[test]
    fn a_leading_axis_is_one_run_and_a_trailing_one_is_a_run_a_row() {
        assert_eq!(cut(&[4, 3], &[2..4, 0..3], &[2, 3]), (vec![6, 7, 8, 9, 10, 11], 1));
        assert_eq!(cut(&[2, 6], &[0..2, 2..4], &[2, 2]), (vec![2, 3, 8, 9], 2));
        assert_eq!(cut(&[5, 1], &[1..3, 0..1], &[2, 1]), (vec![1, 2], 1));
        assert_eq!(cut(&[], &[], &[]), (vec![0], 1));
        let (part, runs) = cut(&[2, 3, 2, 2], &[1..2, 1..3, 0..2, 0..2], &[1, 2, 2, 2]);
        assert_eq!((part, runs), ((16..24).collect(), 1));
        let (part, runs) = cut(&[2, 3, 4], &[0..2, 1..2, 1..3], &[2, 1, 2]);
        assert_eq!((part, runs), (vec![5, 6, 17, 18], 2));
    }

    #[test]
    fn what_a_part_does_not_fill_is_left() {
        assert_eq!(cut(&[5, 2], &[4..5, 0..2], &[2, 2]), (vec![8, 9, -1, -1], 1));
        assert_eq!(cut(&[2, 5], &[0..2, 3..5], &[2, 3]), (vec![3, 4, -1, 8, 9, -1], 2));
        assert_eq!(cut(&[2, 3], &[0..2, 3..3], &[2, 2]), (vec![-1; 4], 0));
    }

    #[test]
    fn what_does_not_fit_has_no_runs() {
        assert_eq!(runs(&[4, 1], &[2..5, 0..1], &[3, 1]).count(), 0);
        assert_eq!(runs(&[4, 1], &[0..4, 0..1], &[3, 1]).count(), 0);
        assert_eq!(runs(&[4, 1], &[0..4, 0..1], &[4]).count(), 0);
    }
}
