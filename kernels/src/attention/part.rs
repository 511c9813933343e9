//! One head of the cache, for a stretch of its slots.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use half::bf16;

use super::AttentionNumbers;
use super::held::{Element, Half, Held};
use crate::dot::dot;
use crate::exponential::{exp, tanh};
use crate::{Features, Instructions};

/// Slots whose scores are computed before their values are read.
const SLOTS_AT_A_TIME: usize = 64;

/// How far ahead keys are asked for: what 8 slots of 256 bf16 take, the latency of memory at the speed of one core.
const BYTES_AHEAD: usize = 4096;

/// Bytes of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Elements of a head that are summed at a time.
const LANES: usize = 64;

/// What a part attends to.
pub(super) struct Part<'a, E> {
    pub(super) numbers: AttentionNumbers,
    pub(super) head_dim: usize,
    /// `[group, head_dim]`.
    pub(super) query: &'a [bf16],
    pub(super) position: i32,
    pub(super) cache: Held<'a, E>,
    pub(super) slot_positions: &'a [i32],
}

/// What a part of a cache adds to each query of a group.
pub(super) struct Partial<'m> {
    /// `Σ exp(score − greatest) · value`, `[group, head_dim]`.
    sums: &'m mut [f32],
    /// `Σ exp(score − greatest)`, `[group]`.
    totals: &'m mut [f32],
    /// The greatest score, `[group]`; of nothing seen, negative infinity.
    greatest: &'m mut [f32],
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

impl<E: Element> Part<'_, E> {
    /// Attends, in the fastest form of the processor.
    pub(super) fn attend(&self, features: Features, partial: &mut Partial<'_>) {
        #[cfg(target_arch = "x86_64")]
        {
            if features.has(Instructions::Avx512Bf16) {
                // SAFETY: the processor has what the function is compiled for.
                return unsafe { attend_avx512(self, partial) };
            }
            if features.has(Instructions::Avx2) {
                // SAFETY: as above.
                return unsafe { attend_avx2(self, partial) };
            }
        }
        let _ = (features, Instructions::Portable);
        attend(self, partial);
    }

    /// Whether the query sees what is at this position.
    #[inline(always)]
    fn sees(&self, position: i32) -> bool {
        let near = self.numbers.window.is_none_or(|window| self.position.wrapping_sub(position) < window);
        position >= 0 && position <= self.position && near
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn attend_avx512(part: &Part<'_, impl Element>, partial: &mut Partial<'_>) {
    attend(part, partial);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn attend_avx2(part: &Part<'_, impl Element>, partial: &mut Partial<'_>) {
    attend(part, partial);
}

// Inlined into callers with different instructions, which makes vectors of different widths of it.
#[inline(always)]
fn attend<E: Element>(part: &Part<'_, E>, partial: &mut Partial<'_>) {
    let dim = part.head_dim;
    let Held { keys: all_keys, values: all_values } = part.cache;
    let slots_ahead = BYTES_AHEAD / (dim * size_of::<E>()).max(1);
    partial.sums.fill(0.0);
    partial.totals.fill(0.0);
    partial.greatest.fill(f32::NEG_INFINITY);
    let slots = part.slot_positions.chunks(SLOTS_AT_A_TIME);
    let values = all_values.elements.chunks(SLOTS_AT_A_TIME * dim);
    let keys = all_keys.elements.chunks(SLOTS_AT_A_TIME * dim).zip(values);
    for (block, (positions, (keys, values))) in slots.zip(keys).enumerate() {
        if !positions.iter().any(|&position| part.sees(position)) {
            continue;
        }
        let first = block * SLOTS_AT_A_TIME;
        let queries = part.query.chunks(dim).zip(partial.sums.chunks_mut(dim));
        let state = partial.totals.iter_mut().zip(partial.greatest.iter_mut());
        for (index, ((query, sums), (total, greatest))) in queries.zip(state).enumerate() {
            // Of what is not seen, the score is not read but made; loops without branches become vectors.
            let mut scores = [0.0; SLOTS_AT_A_TIME];
            for (slot, (score, &position)) in scores.iter_mut().zip(positions).enumerate() {
                let row = slot * dim..(slot + 1) * dim;
                if index == 0 {
                    ask_for(all_keys.elements, (first + slot + slots_ahead) * dim, dim);
                    ask_for(values, row.start, dim);
                }
                if part.sees(position) {
                    let key = keys.get(row).unwrap_or_default();
                    *score = dot::<LANES>(query, key) * part.numbers.scale;
                }
            }
            if let Some(scales) = scales_from(all_keys, first) {
                scores.iter_mut().zip(scales).for_each(|(score, scale)| *score *= scale);
            }
            if let Some(cap) = part.numbers.softcap {
                scores.iter_mut().for_each(|score| *score = tanh(*score / cap) * cap);
            }
            for (index, score) in scores.iter_mut().enumerate() {
                if !positions.get(index).is_some_and(|&position| part.sees(position)) {
                    *score = f32::NEG_INFINITY;
                }
            }
            let new = scores
                .iter()
                .fold(*greatest, |greatest, &score| if score > greatest { score } else { greatest });
            let shift = finite(new);
            if new != *greatest {
                let shrink = exp(*greatest - shift);
                *total *= shrink;
                sums.iter_mut().for_each(|sum| *sum *= shrink);
                *greatest = new;
            }
            for score in &mut scores {
                *score = exp(*score - shift);
            }
            *total += scores.iter().sum::<f32>();
            if let Some(scales) = scales_from(all_values, first) {
                // What has no weight has none, whatever its scale.
                let weigh = |weight: f32, scale: f32| if weight == 0.0 { 0.0 } else { weight * scale };
                scores.iter_mut().zip(scales).for_each(|(weight, scale)| *weight = weigh(*weight, *scale));
            }
            add_values(sums, &scores, values, dim);
        }
    }
}

/// Asks for some elements that will be read soon: what a core finds out by itself to read ahead ends with each page.
#[inline(always)]
fn ask_for<E>(all: &[E], start: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in all.get(start..start + count).unwrap_or_default().chunks(LINE / size_of::<E>()) {
        // SAFETY: every processor of the architecture has the instruction, which changes nothing but caches.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (all, start, count);
}

/// The scales of codes from a slot on.
#[inline(always)]
fn scales_from<E>(half: Half<'_, E>, slot: usize) -> Option<&[f32]> {
    half.scales.map(|scales| scales.get(slot..).unwrap_or_default())
}

/// What is taken from scores whose greatest is `greatest`: itself, or 0 where nothing was seen, whose weights are then 0.
#[inline(always)]
pub(super) fn finite(greatest: f32) -> f32 {
    if greatest == f32::NEG_INFINITY { 0.0 } else { greatest }
}

/// `sums += weights · values`, a few elements of a head at a time, which stay in registers.
#[inline(always)]
fn add_values(sums: &mut [f32], weights: &[f32; SLOTS_AT_A_TIME], values: &[impl Element], dim: usize) {
    let (lanes, rest) = sums.as_chunks_mut::<LANES>();
    let whole = lanes.len() * LANES;
    // What has no weight is not read: nothing of infinity would not be nothing.
    let weighed = || weights.iter().zip(values.chunks(dim)).filter(|(weight, _)| **weight != 0.0);
    for (index, sums) in lanes.iter_mut().enumerate() {
        let mut local = *sums;
        for (weight, value) in weighed() {
            if let Some(value) = value.get(index * LANES..).and_then(|value| value.first_chunk::<LANES>()) {
                for (sum, value) in local.iter_mut().zip(value) {
                    *sum += weight * value.wide();
                }
            }
        }
        *sums = local;
    }
    for (weight, value) in weighed() {
        for (sum, value) in rest.iter_mut().zip(value.get(whole..).unwrap_or_default()) {
            *sum += weight * value.wide();
        }
    }
}
