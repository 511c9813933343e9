//! Rows that attend side by side, a lane of a register each.

use super::sight::Sight;

/// Rows that are side by side.
pub(super) const ROWS: usize = 16;

/// What is known of such rows.
pub(super) struct Lanes {
    /// Positions of their queries; negative for a row that is none.
    pub(super) positions: [i32; ROWS],
    /// The greatest score so far.
    pub(super) greatest: [f32; ROWS],
    /// `Σ exp(score − greatest)`.
    pub(super) totals: [f32; ROWS],
}

impl Lanes {
    /// Rows whose queries are at these positions, before they have seen anything.
    pub(super) fn new(position: impl Fn(usize) -> i32) -> Self {
        Self {
            positions: std::array::from_fn(position),
            greatest: [f32::NEG_INFINITY; ROWS],
            totals: [0.0; ROWS],
        }
    }

    /// What the sums of a row have to be multiplied by in the end; of a row that has seen nothing, 0.
    pub(super) fn factor(&self, lane: usize) -> f32 {
        let total = self.totals[lane];
        if total > 0.0 { total.recip() } else { total }
    }
}

/// What there is of keys besides their elements.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// Negative for a slot that holds nothing.
    pub(super) positions: &'a [i32],
    /// Of codes, what those of each key are multiplied by.
    pub(super) key_scales: Option<&'a [f32]>,
    /// Of codes, what those of each key's value are multiplied by.
    pub(super) value_scales: Option<&'a [f32]>,
    /// What rows see of them.
    pub(super) sight: Sight,
}

/// What the codes of a key are multiplied by; 1 for what is not codes. Behind the last key there are zeros.
#[inline(always)]
pub(super) fn scale_of(scales: Option<&[f32]>, index: usize) -> f32 {
    scales.map_or(1.0, |scales| scales.get(index).copied().unwrap_or(0.0))
}
