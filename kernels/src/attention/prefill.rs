//! Many queries a sequence, in loops that the compiler makes vectors of: each query by itself.

use half::bf16;

use super::part::{Part, Partial};
use super::{AttentionNumbers, AttentionOperands, AttentionShape, slice};
use crate::{Features, Pool};

/// Attends.
pub(super) fn attend(
    pool: &Pool,
    features: Features,
    shape: AttentionShape,
    numbers: AttentionNumbers,
    operands: AttentionOperands<'_>,
    out: &mut [bf16],
) {
    let AttentionShape { queries, kv_heads, group, slots, head_dim, .. } = shape;
    let size = group * head_dim;
    pool.each_chunk(out, kv_heads * size, &|token, out| {
        let sequence = token / queries;
        let mut memory = vec![0.0; Partial::size(group, head_dim)];
        for (kv_head, out) in out.chunks_mut(size).enumerate() {
            let query = (token * kv_heads + kv_head) * size;
            let head = sequence * kv_heads + kv_head;
            let cache = head * slots * head_dim..(head + 1) * slots * head_dim;
            let part = Part {
                numbers,
                head_dim,
                query: slice(operands.query, query..query + size),
                position: slice(operands.positions, token..token + 1).first().copied().unwrap_or(-1),
                keys: slice(operands.keys, cache.clone()),
                values: slice(operands.values, cache),
                slot_positions: slice(operands.slot_positions, sequence * slots..(sequence + 1) * slots),
            };
            let mut partial = Partial::of(&mut memory, group);
            part.attend(features, &mut partial);
            partial.finish(out);
        }
    });
}
