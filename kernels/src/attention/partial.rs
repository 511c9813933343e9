//! What a part of a cache adds to the queries that share it.

use half::bf16;

use crate::exponential::exp;

/// What a part of a cache adds to each query of a group.
pub(super) struct Partial<'m> {
    /// `Σ exp(score − greatest) · value`, `[group, head_dim]`.
    pub(super) sums: &'m mut [f32],
    /// `Σ exp(score − greatest)`, `[group]`.
    totals: &'m mut [f32],
    /// The greatest score, `[group]`; of nothing seen, negative infinity.
    greatest: &'m mut [f32],
}

/// What it adds to one query.
pub(super) struct OfQuery<'p> {
    pub(super) sums: &'p mut [f32],
    total: &'p mut f32,
    greatest: &'p mut f32,
}

impl OfQuery<'_> {
    /// Makes weights of scores, and has what was weighed before shrink by as much as they do. Source: Milakov and Gimelshein,
    /// "Online normalizer calculation for softmax", 2018.
    #[inline(always)]
    pub(super) fn weigh(&mut self, scores: &mut [f32]) {
        let new = scores
            .iter()
            .fold(*self.greatest, |greatest, &score| if score > greatest { score } else { greatest });
        let shift = finite(new);
        if new != *self.greatest {
            let shrink = exp(*self.greatest - shift);
            *self.total *= shrink;
            self.sums.iter_mut().for_each(|sum| *sum *= shrink);
            *self.greatest = new;
        }
        for score in scores.iter_mut() {
            *score = exp(*score - shift);
        }
        *self.total += scores.iter().sum::<f32>();
    }
}

impl<'m> Partial<'m> {
    /// Numbers that a partial takes.
    pub(super) fn size(group: usize, head_dim: usize) -> usize {
        group * (head_dim + 2)
    }

    /// A partial in `memory` of that size, as it is there.
    pub(super) fn of(memory: &'m mut [f32], group: usize) -> Self {
        let (sums, rest) = memory.split_at_mut(memory.len().saturating_sub(2 * group));
        let (totals, greatest) = rest.split_at_mut(rest.len() / 2);
        Self { sums, totals, greatest }
    }

    /// Nothing seen.
    pub(super) fn clear(&mut self) {
        self.sums.fill(0.0);
        self.totals.fill(0.0);
        self.greatest.fill(f32::NEG_INFINITY);
    }

    /// What it adds to each query.
    pub(super) fn queries(&mut self) -> impl Iterator<Item = OfQuery<'_>> {
        let head_dim = self.sums.len() / self.totals.len().max(1);
        let state = self.totals.iter_mut().zip(self.greatest.iter_mut());
        let queries = self.sums.chunks_mut(head_dim.max(1)).zip(state);
        queries.map(|(sums, (total, greatest))| OfQuery { sums, total, greatest })
    }

    /// Adds what another part of the same cache found.
    pub(super) fn join(&mut self, other: &Partial<'_>) {
        let head_dim = self.sums.len() / self.totals.len().max(1);
        let groups = self.totals.iter_mut().zip(self.greatest.iter_mut());
        let others = other.totals.iter().zip(other.greatest.iter());
        let sums = self.sums.chunks_mut(head_dim).zip(other.sums.chunks(head_dim));
        for (((total, greatest), (other_total, other_greatest)), (sums, other_sums)) in
            groups.zip(others).zip(sums)
        {
            let new = greatest.max(*other_greatest);
            let shift = finite(new);
            let (own, others) = (exp(*greatest - shift), exp(*other_greatest - shift));
            *greatest = new;
            *total = *total * own + other_total * others;
            for (sum, other) in sums.iter_mut().zip(other_sums) {
                *sum = *sum * own + other * others;
            }
        }
    }

    /// Writes the quotients, `[group, head_dim]`.
    pub(super) fn finish(&self, out: &mut [bf16]) {
        let head_dim = self.sums.len() / self.totals.len().max(1);
        for ((out, sums), total) in
            out.chunks_mut(head_dim).zip(self.sums.chunks(head_dim)).zip(self.totals.iter())
        {
            let factor = if *total > 0.0 { total.recip() } else { *total };
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = bf16::from_f32(sum * factor);
            }
        }
    }
}

/// What is taken from scores whose greatest is `greatest`: itself, or 0 where nothing was seen, whose weights are then 0.
#[inline(always)]
pub(super) fn finite(greatest: f32) -> f32 {
    if greatest == f32::NEG_INFINITY { 0.0 } else { greatest }
}
