//! The scales of the lanes of a block.

use std::arch::x86_64::{
    __m512, _mm256_maskz_loadu_epi16, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps,
    _mm512_load_si512, _mm512_loadu_ps, _mm512_maskz_loadu_ps, _mm512_permutexvar_ps, _mm512_slli_epi32,
};

use super::bytes::LANES;
use crate::quantized::Scales;

/// Which groups the lanes of a block belong to.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(in super::super) struct BlockGroups {
    /// How many groups each lane is behind the first one's.
    behind: [u32; LANES],
    /// The group of the first lane.
    first: usize,
    /// A bit for that group and for each one behind it in the row, as many as there are lanes at most.
    present: u16,
}

impl BlockGroups {
    /// Those of all blocks of a row, of so many inputs each. No lane has elements of two groups, unless there is only
    /// one.
    pub(in super::super) fn of_row(inputs: usize, group: usize, block_inputs: usize) -> Vec<Self> {
        let span = block_inputs / LANES;
        let of_block = |block: usize| {
            let start = block * block_inputs;
            let first = start / group;
            let behind = std::array::from_fn(|lane| ((start + lane * span) / group - first) as u32);
            let count = (inputs / group - first).min(LANES);
            Self { behind, first, present: u16::MAX >> (LANES - count) }
        };
        (0..inputs.div_ceil(block_inputs)).map(of_block).collect()
    }

    /// For each lane its group's element of `values`, of which those of the row begin at `row`; zero for lanes behind
    /// the row's end.
    ///
    /// # Safety
    /// There is an element for each of the row's groups.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(in super::super) unsafe fn expand(&self, values: Scales<'_>, row: usize) -> __m512 {
        // SAFETY: the caller's promise: those that are present.
        self.spread(unsafe { load(values, row + self.first, self.present) })
    }

    /// For each lane its group's element of `row`, which has one for each of the row's groups, and [`LANES`] more that
    /// mean nothing.
    ///
    /// # Safety
    /// It does.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn pick(&self, row: &[f32]) -> __m512 {
        // SAFETY: the caller's promise.
        self.spread(unsafe { _mm512_loadu_ps(row.as_ptr().add(self.first)) })
    }

    /// For each lane its group's element of those from the first lane's on.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn spread(&self, values: __m512) -> __m512 {
        // SAFETY: 16 words are a register, and aligned as such.
        let behind = unsafe { _mm512_load_si512(self.behind.as_ptr().cast()) };
        _mm512_permutexvar_ps(behind, values)
    }
}

impl Scales<'_> {
    /// Where one of them is, or would be.
    #[inline]
    pub(super) fn address(&self, at: usize) -> *const u8 {
        match self {
            Scales::Bf16(values) => values.as_ptr().wrapping_add(at).cast(),
            Scales::F16(values) => values.as_ptr().wrapping_add(at).cast(),
            Scales::F32(values) => values.as_ptr().wrapping_add(at).cast(),
        }
    }
}

/// Up to 16 values from `at` on, those that the mask has a bit for, and zeros.
///
/// # Safety
/// There are as many.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(in super::super) unsafe fn load(values: Scales<'_>, at: usize, mask: u16) -> __m512 {
    // SAFETY: the caller's promise; what is masked is not read.
    unsafe {
        match values {
            Scales::Bf16(values) => {
                let halves = _mm256_maskz_loadu_epi16(mask, values.as_ptr().add(at).cast());
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
            }
            Scales::F16(values) => {
                _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, values.as_ptr().add(at).cast()))
            }
            Scales::F32(values) => _mm512_maskz_loadu_ps(mask, values.as_ptr().add(at)),
        }
    }
}
