//! What attention reads of a cache: floats, or codes with scales.

use std::ops::Range;

use half::bf16;

use super::slice;

/// Keys and values, each `[batch, kv_heads, slots, head_dim]`.
#[derive(Clone, Copy, Debug)]
pub enum KeyValues<'a> {
    /// Floats.
    Bf16 {
        /// Keys.
        keys: &'a [bf16],
        /// Values.
        values: &'a [bf16],
    },
    /// Codes, of which those of each head and slot are multiplied by a scale, `[batch, kv_heads, slots]`.
    Int8 {
        /// Codes of the keys.
        keys: &'a [i8],
        /// Scales of the keys.
        key_scales: &'a [f32],
        /// Codes of the values.
        values: &'a [i8],
        /// Scales of the values.
        value_scales: &'a [f32],
    },
}

/// What a slot holds of each element of a head.
#[cfg(target_arch = "x86_64")]
pub(super) trait Element: super::amx::TileElement {}

/// What a slot holds of each element of a head.
#[cfg(not(target_arch = "x86_64"))]
pub(super) trait Element: crate::dot::Wide + Send + Sync {}

impl Element for bf16 {}
impl Element for i8 {}

/// Keys and values of one element type.
#[derive(Clone, Copy)]
pub(super) struct Held<'a, E> {
    pub(super) keys: Half<'a, E>,
    pub(super) values: Half<'a, E>,
}

/// Keys or values of some slots, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Half<'a, E> {
    /// `[slots, head_dim]`.
    pub(super) elements: &'a [E],
    /// Of codes, `[slots]`.
    pub(super) scales: Option<&'a [f32]>,
}

impl<E> Held<'_, E> {
    /// Those of some slots, of whatever heads and sequences.
    pub(super) fn slots(self, slots: Range<usize>, head_dim: usize) -> Self {
        Self { keys: self.keys.slots(slots.clone(), head_dim), values: self.values.slots(slots, head_dim) }
    }
}

impl<E> Half<'_, E> {
    fn slots(self, slots: Range<usize>, head_dim: usize) -> Self {
        Self {
            elements: slice(self.elements, slots.start * head_dim..slots.end * head_dim),
            scales: self.scales.map(|scales| slice(scales, slots)),
        }
    }
}
