//! The linear layer: `x · weightᵀ`.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod element;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(test)]
mod tests;

use half::bf16;

use element::Element;

#[cfg(target_arch = "x86_64")]
pub(crate) use amx::{Band, Bands};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Weights;

use crate::pool::Address;
use crate::{Features, Instructions, Pool};

/// Sizes of a linear layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinearShape {
    /// Rows of `x`.
    pub rows: usize,
    /// Elements of a row of `x`, and of a row of the weight.
    pub inputs: usize,
    /// Rows of the weight, and elements of a row of the result.
    pub outputs: usize,
}

/// Where the result goes, and what its sums are rounded to.
#[derive(Debug)]
pub enum LinearResult<'a> {
    /// bf16.
    Bf16(&'a mut [bf16]),
    /// f32.
    F32(&'a mut [f32]),
}

#[cfg(target_arch = "x86_64")]
impl LinearResult<'_> {
    /// The same result, for a shorter while.
    pub(crate) fn reborrow(&mut self) -> LinearResult<'_> {
        match self {
            Self::Bf16(out) => LinearResult::Bf16(out),
            Self::F32(out) => LinearResult::F32(out),
        }
    }
}

/// Slices that are not of the sizes that the shape says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{operand} of a linear layer has {found} elements, not {rows} x {columns}")]
pub struct LinearError {
    operand: &'static str,
    rows: usize,
    columns: usize,
    found: usize,
}

impl LinearShape {
    fn check(&self, x: usize, weight: usize, out: usize) -> Result<(), LinearError> {
        let Self { rows, inputs, outputs } = *self;
        let sizes =
            [("x", rows, inputs, x), ("weight", outputs, inputs, weight), ("result", rows, outputs, out)];
        for (operand, rows, columns, found) in sizes {
            if rows.checked_mul(columns) != Some(found) {
                return Err(LinearError { operand, rows, columns, found });
            }
        }
        Ok(())
    }
}

/// Rows up to which tiles have too little to do: dot products read a row of the weight from one end to the other, as the
/// processor's prefetcher likes it, and keep up with the memory. Beyond, they do not.
#[cfg(target_arch = "x86_64")]
const FEW_ROWS: usize = 1;

/// `out = x · weightᵀ`, accumulated in f32 and rounded once: `x` `[rows, inputs]`, `weight` `[outputs, inputs]`, `out`
/// `[rows, outputs]`.
///
/// # Errors
/// If a slice has another size than `shape` says.
pub fn linear(
    pool: &Pool,
    features: Features,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: LinearResult<'_>,
) -> Result<(), LinearError> {
    match out {
        LinearResult::Bf16(out) => linear_to(pool, features, shape, x, weight, out),
        LinearResult::F32(out) => linear_to(pool, features, shape, x, weight, out),
    }
}

fn linear_to<O: Element>(
    pool: &Pool,
    features: Features,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [O],
) -> Result<(), LinearError> {
    shape.check(x.len(), weight.len(), out.len())?;
    if shape.inputs == 0 {
        out.fill(O::round(0.0));
        return Ok(());
    }
    if out.is_empty() {
        return Ok(());
    }
    #[cfg(target_arch = "x86_64")]
    {
        if features.has(Instructions::AmxBf16) && shape.rows > FEW_ROWS && amx::takes(shape) {
            // SAFETY: the processor has AMX, and the slices are of the shape's sizes.
            unsafe { amx::linear(pool, shape, x, weight, out) };
            return Ok(());
        }
        if features.has(Instructions::Avx512Bf16) {
            // SAFETY: the processor has AVX-512 with bf16.
            by_blocks(pool, shape, x, weight, out, |block| unsafe { avx512::rows(block) });
            return Ok(());
        }
        if features.has(Instructions::Avx2) {
            // SAFETY: the processor has AVX2 and FMA, and the slices are of the shape's sizes.
            unsafe { avx2::linear(pool, shape, x, weight, out) };
            return Ok(());
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if features.has(Instructions::NeonBf16) {
            // SAFETY: the processor has NEON with bf16.
            by_blocks(pool, shape, x, weight, out, |block| unsafe { neon::rows_bf16(block) });
            return Ok(());
        }
        if features.has(Instructions::Neon) {
            // SAFETY: the processor has NEON.
            by_blocks(pool, shape, x, weight, out, |block| unsafe { neon::rows(block) });
            return Ok(());
        }
    }
    let _ = (features, Instructions::Portable);
    by_blocks(pool, shape, x, weight, out, plain::rows);
    Ok(())
}

/// The same with a weight whose rows are made as they are needed, on processors with AMX: `inputs` has to be a multiple of
/// 32, and `outputs` 32 at least.
///
/// # Safety
/// The processor has AMX with bf16, as [`Features`] say; `x` and `out` are of the shape's sizes, and `weight` has as many
/// rows and columns as the shape says.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn linear_of_bands(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &impl Bands,
    out: LinearResult<'_>,
) {
    debug_assert!(amx::takes(shape));
    // SAFETY: the caller's promise.
    unsafe {
        match out {
            LinearResult::Bf16(out) => amx::linear_of_bands(pool, shape, x, weight, out),
            LinearResult::F32(out) => amx::linear_of_bands(pool, shape, x, weight, out),
        }
    }
}

/// The same with a weight that is widened to f32 where it is read, on processors with AVX2 and for many rows.
///
/// # Safety
/// The processor has AVX2 and FMA, as [`Features`] say; `x` and `out` are of the shape's sizes, and `weight` has as many
/// rows and columns as the shape says.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn linear_of_weights(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &impl Weights,
    out: LinearResult<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match out {
            LinearResult::Bf16(out) => avx2::linear_of_weights(pool, shape, x, weight, out),
            LinearResult::F32(out) => avx2::linear_of_weights(pool, shape, x, weight, out),
        }
    }
}

/// The first `N` rows of a matrix of `inputs` columns; where it has fewer, its last one again.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn rows_of<const N: usize>(matrix: &[bf16], inputs: usize) -> [&[bf16]; N] {
    let last = (matrix.len() / inputs).saturating_sub(1);
    std::array::from_fn(|row| {
        let row = row.min(last);
        matrix.get(row * inputs..(row + 1) * inputs).unwrap_or_default()
    })
}

/// Some outputs of a layer, for all rows.
struct Block<'a, O> {
    shape: LinearShape,
    x: &'a [bf16],
    /// The rows of the weight that belong to the outputs of this block.
    weight: &'a [bf16],
    out: Columns<'a, O>,
}

/// Some columns of a result whose other columns belong to other threads.
struct Columns<'a, O> {
    data: *mut O,
    rows: usize,
    stride: usize,
    width: usize,
    _out: std::marker::PhantomData<&'a mut [O]>,
}

impl<O: Element> Columns<'_, O> {
    /// Rounds and stores an element.
    ///
    /// # Panics
    /// If it is not one of these.
    #[inline(always)]
    fn set(&mut self, row: usize, column: usize, value: f32) {
        assert!(row < self.rows && column < self.width, "[{row}, {column}] lies outside of a block");
        // SAFETY: within the result, as just checked, and in columns that only this block has.
        unsafe { self.data.add(row * self.stride + column).write(O::round(value)) };
    }
}

/// Bytes of weight in a block: long enough that starting one costs nothing, short enough that threads finish together.
const BLOCK_BYTES: usize = 256 << 10;

/// Outputs that the kernels take at a time; blocks are multiples of it.
const OUTPUTS_AT_A_TIME: usize = 4;

fn by_blocks<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [O],
    kernel: impl Fn(Block<'_, O>) + Sync,
) {
    let LinearShape { rows, inputs, outputs } = shape;
    let row_bytes = inputs * size_of::<bf16>();
    let fair = outputs.div_ceil(pool.threads());
    let width = (BLOCK_BYTES / row_bytes).clamp(1, fair).next_multiple_of(OUTPUTS_AT_A_TIME);
    let start = Address(out.as_mut_ptr());
    pool.run(outputs.div_ceil(width), &|part| {
        let first = part * width;
        let width = width.min(outputs - first);
        // SAFETY: `first < outputs`, so that the pointer stays within the result's first row.
        let data = unsafe { start.get().add(first) };
        let out = Columns { data, rows, stride: outputs, width, _out: std::marker::PhantomData };
        let weight = weight.get(first * inputs..(first + width) * inputs).unwrap_or_default();
        kernel(Block { shape: LinearShape { outputs: width, ..shape }, x, weight, out });
    });
}
