//! Many queries of one head of the cache, some at a time.

use half::bf16;

use super::held::Held;
use super::{AttentionNumbers, AttentionShape, Layer, slice};
use crate::pool::Address;

/// Rows that attend to one head of one sequence's cache: the queries of the heads that share it, one after the other.
pub(super) struct Block<'a, E> {
    pub(super) shape: AttentionShape,
    pub(super) numbers: AttentionNumbers,
    /// The sequence's queries and what follows, `[queries.., kv_heads, group, head_dim]`.
    query: &'a [bf16],
    kv_head: usize,
    /// Number of the first row, of `queries * group`.
    first: usize,
    pub(super) rows: usize,
    /// Of the sequence's queries.
    positions: &'a [i32],
    pub(super) cache: Held<'a, E>,
    pub(super) slot_positions: &'a [i32],
    /// Of the sequence, laid out as its queries.
    out: *mut bf16,
}

impl<'a, E: Copy + Sync> Block<'a, E> {
    /// Has `attend` work on each block of at most so many rows.
    pub(super) fn each(
        layer: Layer<'_>,
        cache: Held<'_, E>,
        rows: usize,
        out: &mut [bf16],
        attend: impl Fn(&mut Block<'_, E>) + Sync,
    ) {
        let Layer { pool, shape, numbers, operands, .. } = layer;
        let AttentionShape { batch, queries, kv_heads, group, slots, head_dim } = shape;
        let blocks = (queries * group).div_ceil(rows);
        let of_sequence = queries * kv_heads * group * head_dim;
        let out = Address(out.as_mut_ptr());
        pool.run(batch * kv_heads * blocks, &|part| {
            // Later queries see more: the short ones last, for threads to finish together.
            let (head, block) = (part / blocks, blocks - 1 - part % blocks);
            let (sequence, kv_head) = (head / kv_heads, head % kv_heads);
            let first = block * rows;
            attend(&mut Block {
                shape,
                numbers,
                query: slice(operands.query, sequence * of_sequence..operands.query.len()),
                kv_head,
                first,
                rows: rows.min(queries * group - first),
                positions: slice(operands.positions, sequence * queries..(sequence + 1) * queries),
                cache: cache.slots(head * slots..(head + 1) * slots, head_dim),
                slot_positions: slice(operands.slot_positions, sequence * slots..(sequence + 1) * slots),
                // SAFETY: the sequence's part of the result, which is of the shape's size.
                out: unsafe { out.get().add(sequence * of_sequence) },
            });
        });
    }

    /// Where a row's elements begin in the sequence's queries, and results.
    fn start(&self, row: usize) -> usize {
        let AttentionShape { kv_heads, group, head_dim, .. } = self.shape;
        let (token, member) = ((self.first + row) / group, (self.first + row) % group);
        ((token * kv_heads + self.kv_head) * group + member) * head_dim
    }

    /// A row's query; nothing for a row that is none.
    pub(super) fn query(&self, row: usize) -> &'a [bf16] {
        if row >= self.rows {
            return &[];
        }
        let start = self.start(row);
        slice(self.query, start..start + self.shape.head_dim)
    }

    /// The position of a row's query; of a row that is none, one that sees nothing.
    pub(super) fn position(&self, row: usize) -> i32 {
        if row >= self.rows {
            return -1;
        }
        self.positions.get((self.first + row) / self.shape.group).copied().unwrap_or(-1)
    }

    /// A row's result.
    ///
    /// # Panics
    /// If it is a row that is none.
    pub(super) fn out(&mut self, row: usize) -> &mut [bf16] {
        assert!(row < self.rows, "row {row} of a block of {}", self.rows);
        // SAFETY: within the sequence's results. Blocks have no rows in common, and a block is one thread's.
        unsafe { std::slice::from_raw_parts_mut(self.out.add(self.start(row)), self.shape.head_dim) }
    }
}
