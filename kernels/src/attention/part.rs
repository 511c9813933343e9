//! One head of the cache, for a stretch of its slots.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use half::bf16;

use super::AttentionNumbers;
#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::held::{Element, Half, Held};
use super::partial::{OfQuery, Partial};
use crate::dot::dot;
use crate::exponential::tanh;
use crate::{Features, Instructions};

/// Slots whose scores are computed before their values are read.
const SLOTS_AT_A_TIME: usize = 64;

/// How far ahead keys are asked for: what 8 slots of 256 bf16 take, the latency of memory at the speed of one core.
pub(super) const BYTES_AHEAD: usize = 4096;

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
                // SAFETY: as above, and there are as many slots as the part says.
                return unsafe { avx2::attend_part(self, partial) };
            }
        }
        let _ = (features, Instructions::Portable);
        attend(self, partial);
    }

    /// Whether the query sees any of these.
    #[inline(always)]
    pub(super) fn sees_any(&self, positions: &[i32]) -> bool {
        positions.iter().any(|&position| self.sees(position))
    }

    /// Makes weights of the products of a query and the keys of slots from `first` on. Of what is not seen, the product is not
    /// read: loops without branches become vectors.
    #[inline(always)]
    pub(super) fn weigh(&self, first: usize, scores: &mut [f32], of_query: &mut OfQuery<'_>) {
        scores.iter_mut().for_each(|score| *score *= self.numbers.scale);
        if let Some(scales) = scales_from(self.cache.keys, first) {
            scores.iter_mut().zip(scales).for_each(|(score, scale)| *score *= scale);
        }
        if let Some(cap) = self.numbers.softcap {
            scores.iter_mut().for_each(|score| *score = tanh(*score / cap) * cap);
        }
        let positions = self.slot_positions.get(first..).unwrap_or_default();
        for (index, score) in scores.iter_mut().enumerate() {
            if !positions.get(index).is_some_and(|&position| self.sees(position)) {
                *score = f32::NEG_INFINITY;
            }
        }
        of_query.weigh(scores);
        if let Some(scales) = scales_from(self.cache.values, first) {
            // What has no weight has none, whatever its scale.
            let weigh = |weight: f32, scale: f32| if weight == 0.0 { 0.0 } else { weight * scale };
            scores.iter_mut().zip(scales).for_each(|(weight, scale)| *weight = weigh(*weight, *scale));
        }
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

// Inlined into callers with different instructions, which makes vectors of different widths of it.
#[inline(always)]
fn attend<E: Element>(part: &Part<'_, E>, partial: &mut Partial<'_>) {
    let dim = part.head_dim;
    let Held { keys: all_keys, values: all_values } = part.cache;
    let slots_ahead = BYTES_AHEAD / (dim * size_of::<E>()).max(1);
    partial.clear();
    let slots = part.slot_positions.chunks(SLOTS_AT_A_TIME);
    let values = all_values.elements.chunks(SLOTS_AT_A_TIME * dim);
    let keys = all_keys.elements.chunks(SLOTS_AT_A_TIME * dim).zip(values);
    for (block, (positions, (keys, values))) in slots.zip(keys).enumerate() {
        if !part.sees_any(positions) {
            continue;
        }
        let first = block * SLOTS_AT_A_TIME;
        for (index, (query, mut of_query)) in part.query.chunks(dim).zip(partial.queries()).enumerate() {
            let mut scores = [0.0; SLOTS_AT_A_TIME];
            for (slot, (score, &position)) in scores.iter_mut().zip(positions).enumerate() {
                let row = slot * dim..(slot + 1) * dim;
                if index == 0 {
                    ask_for(all_keys.elements, (first + slot + slots_ahead) * dim, dim);
                    ask_for(values, row.start, dim);
                }
                if part.sees(position) {
                    *score = dot::<LANES>(query, keys.get(row).unwrap_or_default());
                }
            }
            part.weigh(first, &mut scores, &mut of_query);
            add_values(of_query.sums, &scores, values, dim);
        }
    }
}

/// Asks for some elements that will be read soon: what a core finds out by itself to read ahead ends with each page.
#[inline(always)]
pub(super) fn ask_for<E>(all: &[E], start: usize, count: usize) {
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
