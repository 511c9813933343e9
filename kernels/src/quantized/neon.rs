//! NEON: codes become bf16 in registers, in the order in which they lie.

use std::arch::aarch64::{
    float32x4_t, int8x16_t, uint8x16_t, uint16x8_t, vaddvq_f32, vandq_u8, vcvtq_f32_s32, vdupq_n_f32,
    vdupq_n_u8, vfmaq_n_f32, vget_low_s8, vget_low_s16, vld1q_s8, vld1q_u8, vld1q_u16, vmovl_high_s8,
    vmovl_high_s16, vmovl_s8, vmovl_s16, vqtbl1q_u8, vreinterpretq_u16_f32, vreinterpretq_u16_u8, vshrq_n_u8,
    vuzp2q_u16, vzip1q_u8, vzip2q_u8,
};
use std::marker::PhantomData;
use std::ops::Range;

use half::bf16;

use super::by_outputs;
use super::layer::Layer;
use super::ordered::{BLOCK, Form, OF_NIBBLE, Operands, VECTORS};
use super::output::Output;
use crate::Pool;
use crate::neon::{Dot, Products, Widened};

/// Computes a layer.
///
/// # Safety
/// The processor has NEON, and [`takes`](super::ordered::takes) says yes.
pub(super) unsafe fn linear(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    let operands = Operands::new(layer);
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { outputs(&operands, part, sums) });
}

/// Computes a layer with `BFDOT`.
///
/// # Safety
/// The processor has NEON with bf16, and [`takes`](super::ordered::takes) says yes.
pub(super) unsafe fn linear_bf16(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    let operands = Operands::new(layer);
    // SAFETY: the caller's promise.
    by_outputs(pool, layer, out, 1, |part, sums| unsafe { outputs_bf16(&operands, part, sums) });
}

#[target_feature(enable = "neon")]
fn outputs(operands: &Operands<'_, Neon<Widened>>, part: Range<usize>, sums: &mut [f32]) {
    // SAFETY: the processor has what is asked for.
    unsafe { operands.outputs(part, sums) };
}

#[target_feature(enable = "neon,bf16")]
fn outputs_bf16(operands: &Operands<'_, Neon<Dot>>, part: Range<usize>, sums: &mut [f32]) {
    // SAFETY: the processor has what is asked for.
    unsafe { operands.outputs(part, sums) };
}

/// NEON, and a way to multiply.
struct Neon<P>(PhantomData<P>);

impl<P: Products> Form for Neon<P> {
    type X = bf16;
    type Weights = uint16x8_t;
    type Sum = float32x4_t;

    #[inline(always)]
    fn x(x: bf16) -> bf16 {
        x
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> float32x4_t {
        vdupq_n_f32(0.0)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn int8(codes: *const u8) -> [uint16x8_t; VECTORS] {
        // The upper halves of f32 are bf16, and all of it where there are no more than eight bits.
        let narrow = |codes| {
            let low = vreinterpretq_u16_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(codes))));
            vuzp2q_u16(low, vreinterpretq_u16_f32(vcvtq_f32_s32(vmovl_high_s16(codes))))
        };
        let half = |codes: int8x16_t| [narrow(vmovl_s8(vget_low_s8(codes))), narrow(vmovl_high_s8(codes))];
        // SAFETY: the caller's promise.
        let (first, second) = unsafe { (vld1q_s8(codes.cast()), vld1q_s8(codes.add(BLOCK / 2).cast())) };
        let ([a, b], [c, d]) = (half(first), half(second));
        [a, b, c, d]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn int4(codes: *const u8) -> [uint16x8_t; VECTORS] {
        // SAFETY: the caller's promise, and tables of a register each.
        let (bytes, lows, highs) =
            unsafe { (vld1q_u8(codes), vld1q_u8(OF_NIBBLE[0].as_ptr()), vld1q_u8(OF_NIBBLE[1].as_ptr())) };
        let half = |nibbles: uint8x16_t| {
            let (low, high) = (vqtbl1q_u8(lows, nibbles), vqtbl1q_u8(highs, nibbles));
            [vreinterpretq_u16_u8(vzip1q_u8(low, high)), vreinterpretq_u16_u8(vzip2q_u8(low, high))]
        };
        // The first of two codes is in the lower nibble.
        let (even, odd) = (vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes));
        let ([a, b], [c, d]) = (half(vzip1q_u8(even, odd)), half(vzip2q_u8(even, odd)));
        [a, b, c, d]
    }

    #[inline(always)]
    unsafe fn add(sum: float32x4_t, x: *const bf16, weights: uint16x8_t) -> float32x4_t {
        // SAFETY: the caller's promise; a bf16 is its 16 bits.
        unsafe { P::add(sum, vld1q_u16(x.cast()), weights) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_scaled(total: float32x4_t, sum: float32x4_t, scale: f32) -> float32x4_t {
        vfmaq_n_f32(total, sum, scale)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn total(sum: float32x4_t) -> f32 {
        vaddvq_f32(sum)
    }
}
