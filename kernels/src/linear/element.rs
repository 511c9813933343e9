//! Types of results.

use half::bf16;

#[cfg(target_arch = "x86_64")]
use crate::tiles::{Sums, round};

/// What a kernel may round its f32 sums to.
pub(super) trait Element: Copy + Send + Sync {
    /// The nearest value, ties to even.
    fn round(value: f32) -> Self;

    /// Rounds the sums of 16 and 16 outputs, each by 16 rows, into `rows` rows of 32 elements, `stride` elements from
    /// one row to the next.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and BF16; the elements are within what this thread may write.
    #[cfg(target_arch = "x86_64")]
    unsafe fn round_tiles(sums: [&Sums; 2], rows: usize, out: *mut Self, stride: usize);
}

impl Element for f32 {
    #[inline(always)]
    fn round(value: f32) -> Self {
        value
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn round_tiles(sums: [&Sums; 2], rows: usize, out: *mut Self, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { round::to_f32(sums, rows, out, stride) }
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn round(value: f32) -> Self {
        bf16::from_f32(value)
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn round_tiles(sums: [&Sums; 2], rows: usize, out: *mut Self, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { round::to_bf16(sums, rows, out, stride) }
    }
}
