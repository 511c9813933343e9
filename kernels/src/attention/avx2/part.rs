//! One query a sequence: an element of the cache is widened once for two heads that share it.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::super::held::{Element, Held};
use super::super::part::{BYTES_AHEAD, Part, ask_for};
use super::super::partial::Partial;
use crate::avx2::{LANES, transpose};
use crate::dot::wide;

/// Slots whose scores are computed before their values are read: of 256 bf16, half of the first-level cache.
const SLOTS_AT_A_TIME: usize = 32;

/// Queries that share what is widened.
const QUERIES: usize = 2;

/// Registers of a slot's value that are added to sums at a time: of bf16, a cache line.
const VECTORS: usize = 4;

/// Products of a query and keys, or weights of their values.
type Scores = [f32; SLOTS_AT_A_TIME];

/// Attends to a part of a cache.
///
/// # Safety
/// The processor has AVX2 and FMA, and the slices are of the part's sizes.
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn attend<E: Element>(part: &Part<'_, E>, partial: &mut Partial<'_>) {
    let dim = part.head_dim;
    let Held { keys: all_keys, .. } = part.cache;
    let elements_ahead = BYTES_AHEAD / size_of::<E>();
    let queries: Vec<f32> = part.query.iter().map(|x| wide(*x)).collect();
    let mut scores = vec![[0.0; SLOTS_AT_A_TIME]; queries.len() / dim];
    partial.clear();
    for (block, positions) in part.slot_positions.chunks(SLOTS_AT_A_TIME).enumerate() {
        if !part.sees_any(positions) {
            continue;
        }
        let first = block * SLOTS_AT_A_TIME;
        let cache = part.cache.slots(first..first + positions.len(), dim);
        for (index, (queries, scores)) in
            queries.chunks(QUERIES * dim).zip(scores.chunks_mut(QUERIES)).enumerate()
        {
            // Of keys, those behind these; of values, those that belong to these and are read after all of them.
            let ask = |start, count| {
                if index == 0 {
                    ask_for(all_keys.elements, first * dim + start + elements_ahead, count);
                    ask_for(cache.values.elements, start, count);
                }
            };
            match scores {
                [a, b] => products(queries, cache.keys.elements, dim, [a, b], ask),
                [a] => products(queries, cache.keys.elements, dim, [a], ask),
                _ => {}
            }
        }
        for (scores, mut of_query) in scores.iter_mut().zip(partial.queries()) {
            part.weigh(first, scores, &mut of_query);
        }
        for (sums, weights) in partial.sums.chunks_mut(QUERIES * dim).zip(scores.chunks(QUERIES)) {
            match weights {
                [a, b] => add_values(sums, [a, b], cache.values.elements, dim),
                [a] => add_values(sums, [a], cache.values.elements, dim),
                _ => {}
            }
        }
    }
}

/// The products of `Q` queries and keys, as many as there are. Calls `ask` with the first of some elements of the keys, and how
/// many these are, before it takes them or about then.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn products<const Q: usize>(
    queries: &[f32],
    keys: &[impl Element],
    dim: usize,
    mut to: [&mut Scores; Q],
    ask: impl Fn(usize, usize),
) {
    // As many sums as are put together at a time.
    let side_by_side = LANES / Q;
    let whole = dim - dim % LANES;
    for (index, keys) in keys.chunks(side_by_side * dim).enumerate() {
        let last = keys.len() / dim - 1;
        let mut sums = [_mm256_setzero_ps(); LANES];
        for at in (0..whole).step_by(LANES) {
            ask(side_by_side * (index * dim + at), side_by_side * LANES);
            let mut of_queries = [_mm256_setzero_ps(); Q];
            for (query, to) in of_queries.iter_mut().enumerate() {
                // SAFETY: eight elements of the query.
                *to = unsafe { _mm256_loadu_ps(queries.as_ptr().add(query * dim + at)) };
            }
            for key in 0..LANES / Q {
                // SAFETY: eight elements of a key; where there are fewer keys, of the last one again.
                let key_at = unsafe { widened(keys.as_ptr().add(key.min(last) * dim + at)) };
                for (query, of_query) in of_queries.iter().enumerate() {
                    let sum = &mut sums[query * (LANES / Q) + key];
                    *sum = _mm256_fmadd_ps(*of_query, key_at, *sum);
                }
            }
        }
        let mut columns = transpose(sums).into_iter();
        let first = columns.next().unwrap_or(_mm256_setzero_ps());
        let mut put_together = [0.0; LANES];
        // SAFETY: eight f32.
        unsafe {
            _mm256_storeu_ps(put_together.as_mut_ptr(), columns.fold(first, |a, b| _mm256_add_ps(a, b)));
        }
        for (query, (to, sums)) in to.iter_mut().zip(put_together.chunks(side_by_side)).enumerate() {
            let to = to.iter_mut().skip(index * side_by_side);
            for ((to, sum), key) in to.zip(sums).zip(keys.chunks(dim)) {
                let rest = queries[query * dim + whole..][..dim - whole].iter().zip(&key[whole..]);
                *to = rest.fold(*sum, |sum, (query, key)| query.mul_add(key.wide(), sum));
            }
        }
    }
}

/// `sums += weights · values` for `Q` queries.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_values<const Q: usize>(sums: &mut [f32], weights: [&Scores; Q], values: &[impl Element], dim: usize) {
    let wide = dim - dim % (VECTORS * LANES);
    let whole = dim - dim % LANES;
    for at in (0..wide).step_by(VECTORS * LANES) {
        add_columns::<Q, VECTORS>(sums, weights, values, dim, at);
    }
    for at in (wide..whole).step_by(LANES) {
        add_columns::<Q, 1>(sums, weights, values, dim, at);
    }
    for (sums, weights) in sums.chunks_mut(dim).zip(weights) {
        // What has no weight is not read: nothing of infinity would not be nothing.
        for (&weight, value) in weights.iter().zip(values.chunks(dim)).filter(|(weight, _)| **weight != 0.0) {
            for (sum, value) in sums[whole..].iter_mut().zip(&value[whole..]) {
                *sum = weight.mul_add(value.wide(), *sum);
            }
        }
    }
}

/// The same for `V` registers of each value from an element on.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_columns<const Q: usize, const V: usize>(
    to: &mut [f32],
    weights: [&Scores; Q],
    values: &[impl Element],
    dim: usize,
    at: usize,
) {
    let mut sums = [[_mm256_setzero_ps(); V]; Q];
    for (query, sums) in sums.iter_mut().enumerate() {
        for (sum, from) in sums.iter_mut().zip(to[query * dim + at..].as_chunks::<LANES>().0) {
            // SAFETY: eight f32.
            *sum = unsafe { _mm256_loadu_ps(from.as_ptr()) };
        }
    }
    for (slot, value) in values.chunks_exact(dim).enumerate() {
        let mut is_weighed = false;
        let mut of_queries = [_mm256_setzero_ps(); Q];
        for (to, weights) in of_queries.iter_mut().zip(weights) {
            is_weighed |= weights[slot] != 0.0;
            *to = _mm256_broadcast_ss(&weights[slot]);
        }
        // As above.
        if !is_weighed {
            continue;
        }
        for vector in 0..V {
            // SAFETY: eight elements of the value.
            let value = unsafe { widened(value.as_ptr().add(at + vector * LANES)) };
            for (sums, weight) in sums.iter_mut().zip(of_queries) {
                sums[vector] = _mm256_fmadd_ps(weight, value, sums[vector]);
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        for (sum, to) in sums.iter().zip(to[query * dim + at..].as_chunks_mut::<LANES>().0) {
            // SAFETY: eight f32.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), *sum) };
        }
    }
}

/// Eight elements.
///
/// # Safety
/// The processor has AVX2, and may read them.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn widened<E: Element>(elements: *const E) -> __m256 {
    let mut eight = [0.0; LANES];
    // SAFETY: the caller's promise.
    for (to, element) in eight.iter_mut().zip(unsafe { &*elements.cast::<[E; LANES]>() }) {
        *to = element.wide();
    }
    // SAFETY: eight f32.
    unsafe { _mm256_loadu_ps(eight.as_ptr()) }
}
