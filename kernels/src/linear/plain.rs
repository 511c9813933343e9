//! Loops that the compiler makes vectors of.

use half::bf16;

use super::{Block, Element};

/// Partial sums that are kept side by side: two registers of eight f32.
const LANES: usize = 16;

/// Computes a block with the instructions that every processor of the architecture has.
pub(super) fn rows<O: Element>(block: Block<'_, O>) {
    compute(block);
}

/// Computes a block with AVX2.
///
/// # Safety
/// The processor has it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(super) fn rows_avx2<O: Element>(block: Block<'_, O>) {
    compute(block);
}

// Inlined into callers with different instructions, which is what makes it two kernels.
#[inline(always)]
fn compute<O: Element>(mut block: Block<'_, O>) {
    let inputs = block.shape.inputs;
    for (column, weight) in block.weight.chunks_exact(inputs).enumerate() {
        for (row, x) in block.x.chunks_exact(inputs).enumerate() {
            block.out.set(row, column, dot(x, weight));
        }
    }
}

#[inline(always)]
fn dot(x: &[bf16], weight: &[bf16]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (weight_lanes, weight_rest) = weight.as_chunks::<LANES>();
    for (x, weight) in x_lanes.iter().zip(weight_lanes) {
        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weight) {
            // The product of two bf16 is exact in f32, so that a fused sum would be the same.
            *sum += wide(*x) * wide(*weight);
        }
    }
    let rest: f32 = x_rest.iter().zip(weight_rest).map(|(x, weight)| wide(*x) * wide(*weight)).sum();
    sums.iter().sum::<f32>() + rest
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
fn wide(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}
