//! The scales of some outputs in f32.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch, _mm512_storeu_ps};

use super::bytes::LANES;
use super::{OUTPUTS_AT_A_TIME, groups};
use crate::quantized::layer::Layer;

/// Outputs whose scales are read at a time: so many that most are written well before they are needed, as a register is
/// loaded slowly from what two of them have just been stored to.
const OUTPUTS: usize = 4 * OUTPUTS_AT_A_TIME;

/// The scales of some outputs, which are replaced by the next ones when those are asked for.
pub(super) struct RowsOfScales<'a> {
    layer: &'a Layer<'a>,
    first: usize,
    end: usize,
    /// Those from `first` to `end`, and [`LANES`] more.
    values: Vec<f32>,
}

impl<'a> RowsOfScales<'a> {
    pub(super) fn new(layer: &'a Layer<'a>) -> Self {
        Self { layer, first: 0, end: 0, values: Vec::new() }
    }

    /// The scales of an output, and at least [`LANES`] numbers more, where `end` is the end of the outputs that are asked
    /// for one after the other.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and VL; the layer has these outputs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn row(&mut self, output: usize, end: usize) -> &[f32] {
        if !(self.first..self.end).contains(&output) {
            // SAFETY: the caller's promise.
            unsafe { self.read(output, (output + OUTPUTS).min(end)) };
        }
        self.values.get((output - self.first) * self.layer.groups()..).unwrap_or_default()
    }

    /// # Safety
    /// As [`row`](Self::row).
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn read(&mut self, first: usize, end: usize) {
        (self.first, self.end) = (first, end);
        let groups = self.layer.groups();
        let count = (end - first) * groups;
        self.values.resize(count.next_multiple_of(LANES) + LANES, 0.0);
        for (index, to) in self.values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let left = count.saturating_sub(index * LANES).min(LANES);
            let mask = u16::MAX.checked_shr((LANES - left) as u32).unwrap_or(0);
            // The next strip's but one, which is in no cache.
            let ahead = first * groups + index * LANES + 2 * OUTPUTS * groups;
            _mm_prefetch::<_MM_HINT_T0>(self.layer.weight.scales.address(ahead).cast());
            // SAFETY: the mask has no bits for scales that are not there; 16 f32 are a register.
            unsafe {
                let values = groups::load(self.layer.weight.scales, first * groups + index * LANES, mask);
                _mm512_storeu_ps(to.as_mut_ptr(), values);
            }
        }
    }
}
