//! The linear layer with weights of 8 or 4 bits: `x · weightᵀ` where an element of the weight is an integer code times
//! the scale of its group. Nothing of `x` is quantized.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod fixed;
mod layer;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod ordered;
mod output;
mod plain;
#[cfg(test)]
mod tests;

use half::{bf16, f16};

use crate::{Features, Instructions, LinearResult, LinearShape, Pool};
use layer::Layer;
use output::Output;

pub use layer::QuantizedLinearError;

/// The integers of a weight `[outputs, inputs]`.
#[derive(Clone, Copy, Debug)]
pub enum Codes<'a> {
    /// A byte each.
    Int8(&'a [i8]),
    /// Four bits each, as `code + 8`: the even element of a pair is the low half of its byte. `[outputs, inputs / 2]`
    /// bytes.
    Int4(&'a [u8]),
}

/// The scales of a weight, `[outputs, groups]`.
#[derive(Clone, Copy, Debug)]
pub enum Scales<'a> {
    /// bf16.
    Bf16(&'a [bf16]),
    /// f16.
    F16(&'a [f16]),
    /// f32.
    F32(&'a [f32]),
}

/// A weight `[outputs, inputs]` of few bits: `weight[o, i] = scale[o, g] · code[o, i] + offset[o, g]`, where `g` is
/// the group of `i`. A group is `inputs / groups` neighbouring inputs.
#[derive(Clone, Copy, Debug)]
pub struct EncodedWeight<'a> {
    /// The codes.
    pub codes: Codes<'a>,
    /// The scales.
    pub scales: Scales<'a>,
    /// The offsets `[outputs, groups]`, where there are some.
    pub offsets: Option<&'a [f32]>,
    /// Groups of each output.
    pub groups: usize,
}

/// `out = x · weightᵀ`, accumulated in f32 and rounded once: `x` `[rows, inputs]`, `weight` `[outputs, inputs]`, `out`
/// `[rows, outputs]`. For few rows a weight is exact; for many, where it has groups or offsets, it is rounded to bf16
/// once it is decoded, as the multiplication with AMX wants it.
///
/// # Errors
/// If a slice has another size than `shape` and the number of groups say, if groups are not of equal size, or where
/// one of int4 ends within a byte.
pub fn quantized_linear(
    pool: &Pool,
    features: Features,
    shape: LinearShape,
    x: &[bf16],
    weight: EncodedWeight<'_>,
    out: LinearResult<'_>,
) -> Result<(), QuantizedLinearError> {
    let layer = Layer::new(shape, x, weight, &out)?;
    if shape.inputs == 0 {
        Output::new(out, shape).clear();
        return Ok(());
    }
    if shape.rows == 0 || shape.outputs == 0 {
        return Ok(());
    }
    #[cfg(target_arch = "x86_64")]
    if features.has(Instructions::AmxBf16) && amx::takes(&layer) {
        // SAFETY: the processor has AMX with bf16, and with it AVX-512 with bf16; the result is the layer's.
        unsafe { amx::linear(pool, &layer, out) };
        return Ok(());
    }
    #[cfg(target_arch = "x86_64")]
    let mut out = out;
    #[cfg(target_arch = "x86_64")]
    if features.has(Instructions::Avx512Bf16)
        && avx512::takes(&layer)
        // SAFETY: the processor has AVX-512 with bf16, and with it the products of bytes.
        && unsafe { avx512::linear(pool, &layer, &Output::new(out.reborrow(), shape)) }
    {
        return Ok(());
    }
    #[cfg(target_arch = "x86_64")]
    if features.has(Instructions::Avx2) {
        // SAFETY: the processor has AVX2 and FMA; the result is the layer's.
        unsafe { avx2::linear(pool, &layer, out) };
        return Ok(());
    }
    let out = Output::new(out, shape);
    #[cfg(target_arch = "aarch64")]
    if ordered::takes(&layer) {
        if features.has(Instructions::NeonBf16) {
            // SAFETY: the processor has NEON with bf16.
            unsafe { neon::linear_bf16(pool, &layer, &out) };
            return Ok(());
        }
        if features.has(Instructions::Neon) {
            // SAFETY: the processor has NEON.
            unsafe { neon::linear(pool, &layer, &out) };
            return Ok(());
        }
    }
    let _ = (features, Instructions::Portable);
    by_outputs(pool, &layer, &out, 1, |part, sums| plain::outputs(&layer, part, sums));
    Ok(())
}

/// Bytes of codes that a thread takes at a time, at least: enough that starting costs nothing, few enough that threads finish
/// together.
const PART_BYTES: usize = 64 << 10;

/// Has `kernel` compute the sums of all outputs, a multiple of `strip` of them at a time but for the last, `[rows, those
/// outputs]`.
fn by_outputs(
    pool: &Pool,
    layer: &Layer<'_>,
    out: &Output<'_>,
    strip: usize,
    kernel: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
) {
    let LinearShape { rows, outputs, .. } = layer.shape;
    let starts = starts(outputs, strip, PART_BYTES / layer.row_bytes(), pool.threads());
    pool.run(starts.len(), &|part| {
        let (Some(&start), end) = (starts.get(part), starts.get(part + 1).copied().unwrap_or(outputs)) else {
            return;
        };
        let outputs = start..end;
        let mut sums = vec![0.0; rows * outputs.len()];
        kernel(outputs.clone(), &mut sums);
        for (row, sums) in sums.chunks(outputs.len()).enumerate() {
            // SAFETY: no other part has these outputs.
            unsafe { out.write(row, outputs.start, sums) };
        }
    });
}

/// Where parts begin, each a multiple of `strip`. They become shorter to the end of the outputs, down to `least`: what is
/// asked for ahead of a part's end is another thread's, so that there should be few parts, but the last ones are what
/// threads wait for.
fn starts(outputs: usize, strip: usize, least: usize, threads: usize) -> Vec<usize> {
    const SHARE: usize = 2;
    let mut starts = Vec::new();
    let mut start = 0;
    while start < outputs {
        starts.push(start);
        let left = outputs - start;
        start +=
            (left / (SHARE * threads)).max(least).clamp(1, left.div_ceil(threads)).next_multiple_of(strip);
    }
    starts
}
