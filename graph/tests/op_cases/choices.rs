//! Random decisions drawn from a sequence of numbers, so that shrinking the sequence simplifies the case.

use lapidary_graph::DType;

/// A sequence of decisions; past its end every decision is the first option.
pub(crate) struct Choices {
    numbers: std::vec::IntoIter<u32>,
}

impl Choices {
    pub(crate) fn new(numbers: Vec<u32>) -> Self {
        Self { numbers: numbers.into_iter() }
    }

    /// A number below `bound`, or 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = self.numbers.next().unwrap_or(0) as usize;
        number.checked_rem(bound).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())].clone()
    }

    pub(crate) fn dtype(&mut self, accepted: impl Fn(DType) -> bool) -> DType {
        let options: Vec<DType> = DType::ALL.into_iter().filter(|&dtype| accepted(dtype)).collect();
        self.pick(&options)
    }

    /// Up to three dimensions of 0 to 3 elements, mostly more than none.
    pub(crate) fn dims(&mut self) -> Vec<usize> {
        let rank = self.below(4);
        (0..rank).map(|_| self.size()).collect()
    }

    pub(crate) fn size(&mut self) -> usize {
        self.pick(&[2, 1, 3, 2, 1, 3, 2, 0])
    }

    /// Some of the numbers below `bound`, in random order.
    pub(crate) fn subset(&mut self, bound: usize) -> Vec<usize> {
        let mut members = self.permutation(bound);
        members.truncate(self.below(bound + 1));
        members
    }

    pub(crate) fn permutation(&mut self, bound: usize) -> Vec<usize> {
        let mut rest: Vec<usize> = (0..bound).collect();
        (0..bound).map(|_| rest.remove(self.below(rest.len()))).collect()
    }
}
