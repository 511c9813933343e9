//! Dot products of bf16 in loops that the compiler makes vectors of.
//!
//! Functions here are inlined into callers that are compiled for different instructions.

use half::bf16;

/// `a · b` in f32, with this many partial sums side by side, so that additions need not wait for each other.
#[inline(always)]
pub(crate) fn dot<const SUMS: usize>(a: &[bf16], b: &[bf16]) -> f32 {
    let mut sums = [0.0f32; SUMS];
    let (a_chunks, a_rest) = a.as_chunks::<SUMS>();
    let (b_chunks, b_rest) = b.as_chunks::<SUMS>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            // The product of two bf16 is exact in f32, so that a fused sum would be the same.
            *sum += wide(*a) * wide(*b);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| wide(*a) * wide(*b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
pub(crate) fn wide(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}
