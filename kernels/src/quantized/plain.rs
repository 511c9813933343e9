//! Loops that the compiler makes vectors of.

use std::ops::Range;

use super::Codes;
use super::layer::Layer;
use crate::dot::wide;

/// Weights that are decoded before they are multiplied: few enough to stay in the first-level cache.
const PIECE: usize = 256;

/// Partial sums that are kept side by side: two registers of eight f32.
const SUMS: usize = 16;

/// Computes outputs with the instructions that every processor of the architecture has.
pub(super) fn outputs(layer: &Layer<'_>, outputs: Range<usize>, sums: &mut [f32]) {
    compute(layer, outputs, sums);
}

/// Computes outputs with AVX2.
///
/// # Safety
/// The processor has it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(super) fn outputs_avx2(layer: &Layer<'_>, outputs: Range<usize>, sums: &mut [f32]) {
    compute(layer, outputs, sums);
}

// Inlined into callers with different instructions, which is what makes it two kernels.
#[inline(always)]
fn compute(layer: &Layer<'_>, outputs: Range<usize>, sums: &mut [f32]) {
    let (inputs, group, width) = (layer.shape.inputs, layer.group(), outputs.len());
    let mut scales = vec![0.0; layer.groups()];
    let mut piece = [0.0; PIECE];
    for (column, output) in outputs.enumerate() {
        let codes = layer.row(output);
        let offsets = layer.offsets(output).unwrap_or_default();
        layer.scales(output, &mut scales);
        for (index, &scale) in scales.iter().enumerate() {
            let offset = offsets.get(index).copied().unwrap_or(0.0);
            let end = (index + 1) * group;
            for start in (index * group..end).step_by(PIECE) {
                let weights = piece.get_mut(..PIECE.min(end - start)).unwrap_or_default();
                match layer.codes() {
                    Codes::Int8(_) => {
                        decode_int8(codes.get(start..).unwrap_or_default(), scale, offset, weights);
                    }
                    Codes::Int4(_) => {
                        decode_int4(codes.get(start / 2..).unwrap_or_default(), scale, offset, weights);
                    }
                }
                let rows = layer.x.chunks_exact(inputs).zip(sums.iter_mut().skip(column).step_by(width));
                for (x, sum) in rows {
                    *sum += dot(x.get(start..).unwrap_or_default(), weights);
                }
            }
        }
    }
}

/// Codes times their scale, and the offset added.
#[inline(always)]
pub(super) fn decode_int8(codes: &[u8], scale: f32, offset: f32, weights: &mut [f32]) {
    for (weight, code) in weights.iter_mut().zip(codes) {
        *weight = f32::from(*code as i8) * scale + offset;
    }
}

/// The same for codes of four bits, of an even number of inputs.
#[inline(always)]
pub(super) fn decode_int4(codes: &[u8], scale: f32, offset: f32, weights: &mut [f32]) {
    for (pair, byte) in weights.as_chunks_mut::<2>().0.iter_mut().zip(codes) {
        let nibbles = [byte & 15, byte >> 4];
        for (weight, nibble) in pair.iter_mut().zip(nibbles) {
            *weight = (f32::from(nibble) - 8.0) * scale + offset;
        }
    }
}

/// `x · weights` over as many elements as there are weights, with partial sums side by side.
#[inline(always)]
fn dot(x: &[half::bf16], weights: &[f32]) -> f32 {
    let mut sums = [0.0f32; SUMS];
    let (weights, rest) = weights.as_chunks::<SUMS>();
    let x_chunks = x.as_chunks::<SUMS>().0;
    for (x, weights) in x_chunks.iter().zip(weights) {
        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weights) {
            *sum += wide(*x) * weight;
        }
    }
    let x_rest = x.get(weights.len() * SUMS..).unwrap_or_default();
    let rest: f32 = x_rest.iter().zip(rest).map(|(x, weight)| wide(*x) * weight).sum();
    sums.iter().sum::<f32>() + rest
}
