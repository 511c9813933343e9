//! Many queries a sequence, in loops that the compiler makes vectors of: each query by itself.

use half::bf16;

use super::held::{Element, Held};
use super::part::Part;
use super::partial::Partial;
use super::{AttentionShape, Layer, slice};

/// Attends.
pub(super) fn attend<E: Element>(layer: Layer<'_>, cache: Held<'_, E>, out: &mut [bf16]) {
    let Layer { pool, features, shape, numbers, operands } = layer;
    let AttentionShape { queries, kv_heads, group, slots, head_dim, .. } = shape;
    let size = group * head_dim;
    pool.each_chunk(out, kv_heads * size, &|token, out| {
        let sequence = token / queries;
        let mut memory = vec![0.0; Partial::size(group, head_dim)];
        for (kv_head, out) in out.chunks_mut(size).enumerate() {
            let query = (token * kv_heads + kv_head) * size;
            let head = sequence * kv_heads + kv_head;
            let part = Part {
                numbers,
                head_dim,
                query: slice(operands.query, query..query + size),
                position: slice(operands.positions, token..token + 1).first().copied().unwrap_or(-1),
                cache: cache.slots(head * slots..(head + 1) * slots, head_dim),
                slot_positions: slice(operands.slot_positions, sequence * slots..(sequence + 1) * slots),
            };
            let mut partial = Partial::of(&mut memory, group);
            part.attend(features, &mut partial);
            partial.finish(out);
        }
    });
}
