//! Taking tokens back.

use lapidary_models::config::AttentionKind;
use lapidary_models::program::Phase;

use super::Batch;

impl Batch<'_> {
    /// Forgets what each row took beyond its first `length` tokens, so that it goes on from there. Rows that hold no
    /// more stay as they are.
    ///
    /// Returns false, changing nothing, if a local layer's ring has overwritten positions that the next token is to
    /// see; then only [`clear`](Self::clear) and another prefill bring the row there.
    pub fn rewind(&mut self, length: usize) -> bool {
        let shape = self.shape(Phase::Decode, 1);
        let config = &self.engine.config;
        let kept = |held: usize| {
            held <= length
                || length == 0
                || config.layer_kinds.iter().all(|kind| ring_keeps(kind, &shape, held, length))
        };
        if !self.lengths.iter().all(|&held| kept(held)) {
            return false;
        }
        for held in &mut self.lengths {
            *held = length.min(*held);
        }
        true
    }
}

/// Whether the slots of a layer, having taken `held` tokens, still have every position that a token at `length` sees.
/// They have the last ones, as many as there are slots.
fn ring_keeps(
    kind: &AttentionKind,
    shape: &lapidary_models::program::ProgramShape,
    held: usize,
    length: usize,
) -> bool {
    let oldest_kept = held.saturating_sub(shape.cache_len(*kind));
    let oldest_seen = match *kind {
        AttentionKind::Global => 0,
        // `q - window < k`.
        AttentionKind::Local { window } => (length + 1).saturating_sub(window),
    };
    oldest_kept <= oldest_seen
}
