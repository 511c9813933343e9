//! Types of results.

use half::bf16;

/// What a kernel may round its f32 sums to.
pub(super) trait Element: Copy + Send + Sync {
    /// The nearest value, ties to even.
    fn round(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn round(value: f32) -> Self {
        value
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn round(value: f32) -> Self {
        bf16::from_f32(value)
    }
}
