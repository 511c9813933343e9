//! One query a sequence: reading the cache is most of the work.

use half::bf16;

use super::held::{Element, Held};
use super::part::Part;
use super::partial::Partial;
use super::{AttentionShape, Layer, slice};

/// Slots that one part of the work covers: enough to be worth a thread's while, few enough for every thread to have
/// some where there are few heads.
const SLOTS_A_PART: usize = 512;

/// Attends. Parts of a cache are attended to apart, and put together by their greatest scores and sums of weights.
/// Source: Dao et al., "Flash-Decoding for long-context inference", 2023.
pub(super) fn attend<E: Element>(layer: Layer<'_>, cache: Held<'_, E>, out: &mut [bf16]) {
    let Layer { pool, features, shape, numbers, operands } = layer;
    let AttentionShape { kv_heads, group, slots, head_dim, .. } = shape;
    let parts_a_head = slots.div_ceil(SLOTS_A_PART).max(1);
    let heads = shape.batch * kv_heads;
    let mut partials = vec![0.0; heads * parts_a_head * Partial::size(group, head_dim)];
    pool.each_chunk(&mut partials, Partial::size(group, head_dim), &|part, memory| {
        let head = part / parts_a_head;
        let sequence = head / kv_heads;
        let first = part % parts_a_head * SLOTS_A_PART;
        let end = (first + SLOTS_A_PART).min(slots);
        let part = Part {
            numbers,
            head_dim,
            query: slice(operands.query, head * group * head_dim..(head + 1) * group * head_dim),
            position: slice(operands.positions, sequence..sequence + 1).first().copied().unwrap_or(-1),
            cache: cache.slots(head * slots + first..head * slots + end, head_dim),
            slot_positions: slice(operands.slot_positions, sequence * slots + first..sequence * slots + end),
        };
        part.attend(features, &mut Partial::of(memory, group));
    });
    let partials = partials.chunks_mut(parts_a_head * Partial::size(group, head_dim));
    for (out, partials) in out.chunks_mut(group * head_dim).zip(partials) {
        let (whole, others) = partials.split_at_mut(Partial::size(group, head_dim));
        let mut whole = Partial::of(whole, group);
        for other in others.chunks_mut(Partial::size(group, head_dim)) {
            whole.join(&Partial::of(other, group));
        }
        whole.finish(out);
    }
}
