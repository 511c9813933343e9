//! The search for NaN and infinity among the weights.

use std::path::PathBuf;

use super::{Checkpoint, TensorView};
use crate::dtype::StoredDtype;
use crate::progress::{Cancelled, Meter, OnProgress};

/// Bytes scanned between reports, and the most of a file that the scan keeps resident.
const BLOCK: usize = 4 << 20;

/// A tensor with elements that are NaN or infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct NonFinite {
    /// The tensor.
    pub tensor: String,
    /// The file that holds it.
    pub file: PathBuf,
    /// Where in the tensor the first such element is, one index for each dimension.
    pub position: Vec<usize>,
    /// That element.
    pub value: f32,
    /// How many such elements the tensor has.
    pub count: u64,
}

impl std::fmt::Display for NonFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tensor, file, position, value, count } = self;
        write!(f, "`{tensor}` in {}: {count} non-finite, first {value} at {position:?}", file.display())
    }
}

impl Checkpoint {
    /// Reads every weight once and returns the tensors that hold NaN or infinity; none, if the model is sound.
    ///
    /// # Errors
    /// [`Cancelled`] when `progress` says to stop.
    pub fn check_finite(&self, progress: OnProgress<'_>) -> Result<Vec<NonFinite>, Cancelled> {
        let mut meter = Meter::new(self.byte_count(), progress);
        let mut found = Vec::new();
        for tensor in self.tensors() {
            match tensor.dtype.float() {
                Some(dtype) => found.extend(scan(tensor, dtype, &mut meter)?),
                // Every code is a number.
                None => meter.advance(tensor.byte_count())?,
            }
        }
        Ok(found)
    }
}

fn scan(
    tensor: &TensorView,
    dtype: StoredDtype,
    meter: &mut Meter<'_>,
) -> Result<Option<NonFinite>, Cancelled> {
    let mut first = None;
    let mut count = 0;
    let mut start = 0;
    for block in tensor.bytes().chunks(BLOCK) {
        let found = count_non_finite(dtype, block);
        if found > 0 && first.is_none() {
            first =
                first_non_finite(dtype, block).map(|(index, value)| (start / dtype.size() + index, value));
        }
        count += found as u64;
        if let Some((source, range)) = tensor.in_file() {
            source.release(range.start + start..range.start + start + block.len());
        }
        start += block.len();
        meter.advance(block.len())?;
    }
    Ok(first.map(|(index, value)| NonFinite {
        tensor: tensor.name.clone(),
        file: tensor.source.path().to_owned(),
        position: position(index, &tensor.dims),
        value,
        count,
    }))
}

/// NaN and infinity are the values whose exponent is all ones. Counting, rather than stopping at the first,
/// has no branch in its loop and so runs as fast as memory is read.
fn count_non_finite(dtype: StoredDtype, block: &[u8]) -> usize {
    let halves = |exponent: u16| {
        let is_non_finite = |bytes: &[u8; 2]| u16::from_le_bytes(*bytes) & exponent == exponent;
        block.as_chunks().0.iter().map(|bytes| usize::from(is_non_finite(bytes))).sum()
    };
    match dtype {
        StoredDtype::Bf16 => halves(0x7f80),
        StoredDtype::F16 => halves(0x7c00),
        StoredDtype::F32 => {
            let is_non_finite = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) & 0x7f80_0000 == 0x7f80_0000;
            block.as_chunks().0.iter().map(|bytes| usize::from(is_non_finite(bytes))).sum()
        }
    }
}

fn first_non_finite(dtype: StoredDtype, block: &[u8]) -> Option<(usize, f32)> {
    block.chunks_exact(dtype.size()).enumerate().find_map(|(index, element)| {
        let mut value = [0.0];
        crate::convert::decode(dtype, element, &mut value);
        let [value] = value;
        (!value.is_finite()).then_some((index, value))
    })
}

/// The row-major multi-index of element `index`.
fn position(mut index: usize, dims: &[usize]) -> Vec<usize> {
    let mut position = vec![0; dims.len()];
    for (at, extent) in position.iter_mut().zip(dims).rev() {
        *at = index % extent;
        index /= extent;
    }
    position
}
