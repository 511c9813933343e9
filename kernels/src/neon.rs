//! Products of bf16 with NEON, eight at a time, in two forms: with `BFDOT`, and without.
//!
//! `BFDOT` is inline assembly, as Rust's bf16 intrinsics are not stable. Source: Arm Architecture Reference Manual for
//! A-profile architecture, BFDOT (vector): pairs are multiplied and added with rounding to odd, and subnormal numbers are
//! zero.

use std::arch::aarch64::{
    float32x4_t, uint16x8_t, vfmaq_f32, vget_low_u16, vld1q_u16, vreinterpretq_f32_u32, vshll_high_n_u16,
    vshll_n_u16,
};
use std::arch::asm;

use half::bf16;

/// bf16 of a register.
pub(crate) const VECTOR: usize = 8;

/// Eight elements from `at` on.
///
/// # Safety
/// They lie within the slice.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn load(slice: &[bf16], at: usize) -> uint16x8_t {
    debug_assert!(at + VECTOR <= slice.len());
    // SAFETY: the caller's promise; a bf16 is its 16 bits.
    unsafe { vld1q_u16(slice.as_ptr().add(at).cast()) }
}

/// A way to multiply and add.
pub(crate) trait Products {
    /// `sum` with eight products of bf16 added, two to each lane in one way or another.
    ///
    /// # Safety
    /// The processor has what the implementation says.
    unsafe fn add(sum: float32x4_t, a: uint16x8_t, b: uint16x8_t) -> float32x4_t;
}

/// With `BFDOT`: NEON and bf16.
pub(crate) struct Dot;

impl Products for Dot {
    #[inline]
    #[target_feature(enable = "neon,bf16")]
    unsafe fn add(mut sum: float32x4_t, a: uint16x8_t, b: uint16x8_t) -> float32x4_t {
        // SAFETY: the processor has the instruction, as the caller promises; it touches three registers.
        unsafe {
            asm!(
                "bfdot {sum:v}.4s, {a:v}.8h, {b:v}.8h",
                sum = inout(vreg) sum,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
}

/// In f32, of which a bf16 is the upper half: NEON alone.
pub(crate) struct Widened;

impl Products for Widened {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(sum: float32x4_t, a: uint16x8_t, b: uint16x8_t) -> float32x4_t {
        let low = |x| vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(x)));
        let high = |x| vreinterpretq_f32_u32(vshll_high_n_u16::<16>(x));
        vfmaq_f32(vfmaq_f32(sum, low(a), low(b)), high(a), high(b))
    }
}
