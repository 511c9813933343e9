//! Taking tokens back.

use lapidary_models::config::AttentionKind;
use lapidary_models::program::{Phase, ProgramShape};

use super::Batch;

impl Batch<'_> {
    /// Forgets what each row took beyond its first `length` tokens, so that it goes on from there. Rows that hold no
    /// more stay as they are.
    ///
    /// Returns false, changing nothing, if a local layer's ring has overwritten positions that the next token is to
    /// see; then only [`clear`](Self::clear) and another prefill bring the row there.
    pub fn rewind(&mut self, length: usize) -> bool {
        let can_rewind = (0..self.rows()).all(|row| self.can_rewind(row, length));
        if can_rewind {
            (0..self.rows()).for_each(|row| self.keep(row, length));
        }
        can_rewind
    }

    /// Forgets what a row took beyond its first `length` tokens; all of it, if a ring has moved on too far.
    pub(in crate::engine) fn keep(&mut self, row: usize, length: usize) {
        if length == 0 || !self.can_rewind(row, length) {
            self.reset_row(row);
        } else if let Some(held) = self.lengths.get_mut(row) {
            *held = length.min(*held);
        }
    }

    /// Whether the row's cache has all that a token at `length` sees.
    fn can_rewind(&self, row: usize, length: usize) -> bool {
        let shape = self.shape(Phase::Decode, 1);
        let kinds = &self.engine.config.layer_kinds;
        // What a row took before it was rewound once is still in its slots.
        let written = self.written.get(row).copied().unwrap_or(0);
        self.length(row) <= length
            || length == 0
            || kinds.iter().all(|kind| ring_keeps(kind, &shape, written, length))
    }
}

/// Whether the slots of a layer, having been written up to position `written`, still have every position that a token at `length` sees.
/// They have the last ones, as many as there are slots.
fn ring_keeps(kind: &AttentionKind, shape: &ProgramShape, written: usize, length: usize) -> bool {
    let oldest_kept = written.saturating_sub(shape.cache_len(*kind));
    let oldest_seen = match *kind {
        AttentionKind::Global => 0,
        // `q - window < k`.
        AttentionKind::Local { window } => (length + 1).saturating_sub(window),
    };
    oldest_kept <= oldest_seen
}
