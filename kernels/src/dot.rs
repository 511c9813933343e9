//! Dot products of bf16 in loops that the compiler makes vectors of.
//!
//! Functions here are inlined into callers that are compiled for different instructions.

use half::bf16;

/// A number that f32 holds exactly, and whose products with numbers of eight bits it does too.
pub(crate) trait Wide: Copy {
    /// The same number.
    fn wide(self) -> f32;
}

impl Wide for bf16 {
    #[inline(always)]
    fn wide(self) -> f32 {
        wide(self)
    }
}

impl Wide for i8 {
    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from(self)
    }
}

/// `a · b` in f32, with this many partial sums side by side, a power of two, so that additions need not wait for each other.
#[inline(always)]
pub(crate) fn dot<const SUMS: usize>(a: &[bf16], b: &[impl Wide]) -> f32 {
    let mut sums = [0.0f32; SUMS];
    let (a_chunks, a_rest) = a.as_chunks::<SUMS>();
    let (b_chunks, b_rest) = b.as_chunks::<SUMS>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = add_product(*sum, wide(*a), b.wide());
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| wide(*a) * b.wide()).sum();
    // By halves: one after the other, each addition would wait for the one before it.
    let mut width = SUMS;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0] + rest
}

/// `sum + a · b` for an `a` and `b` whose product is exact in f32, so that it is the same fused or not: fused where every
/// processor of the architecture has an instruction for it.
#[inline(always)]
pub(crate) fn add_product(sum: f32, a: f32, b: f32) -> f32 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, sum) } else { sum + a * b }
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
pub(crate) fn wide(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}
