//! One row and codes of four bits, with products of bytes (`VPMADDUBSW`): of the codes as they are, masked and shifted, and of
//! `x` as [fixed-point numbers](crate::quantized::fixed).
//!
//! Such a product adds up two neighbours in 16 bits: `2 * 15 * 128` at most, and twice that with both nibbles of a byte. Codes
//! of eight bits would be too large for that.

use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_prefetch, _mm_set1_ps, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_and_si256, _mm256_castps128_ps256, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_insertf128_ps,
    _mm256_load_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_srli_epi16,
};
use std::ops::Range;

use half::bf16;

use crate::avx2::{LANES, total};
use crate::dot::wide;
use crate::quantized::Codes;
use crate::quantized::fixed::{DIGIT, DIGITS, FRACTION, exponent, power_of_two};
use crate::quantized::layer::Layer;

/// Bytes of a block of codes.
const BYTES: usize = 32;

/// Elements of a block.
const BLOCK: usize = 2 * BYTES;

/// Neighbouring elements of which a lane of 32 bits has the sum.
const SPAN: usize = BLOCK / LANES;

/// The smallest group, of which a block has two.
const HALF: usize = BLOCK / 2;

/// What a code has more than it stands for.
const BIAS: i32 = 8;

/// How far ahead codes are asked for, in bytes: the latency of memory at the speed of one core.
const AHEAD: usize = 1024;

/// The `x` that a block meets.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Step {
    /// The highest digits first, each of even elements and then of odd ones.
    digits: [[[i8; BYTES]; 2]; DIGITS],
    /// What the bias of codes adds to each lane, with the other sign.
    unbias: [i32; LANES],
}

/// Whether there are only whole blocks, which have one group, or two.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    let group = layer.group();
    matches!(layer.codes(), Codes::Int4(_))
        && layer.shape.rows == 1
        && layer.shape.inputs.is_multiple_of(BLOCK)
        && (group.is_multiple_of(BLOCK) || group == HALF)
}

/// What is prepared once a call.
pub(super) struct Operands<'a> {
    layer: &'a Layer<'a>,
    x: Vec<Step>,
    /// What the whole numbers of `x` count.
    unit: f64,
    /// The sum of the `x` of each group, where there are offsets.
    group_sums: Vec<f32>,
}

impl<'a> Operands<'a> {
    /// Operands of a layer that [`takes`] says yes to; `None` if an element of `x` is NaN or infinite.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn new(layer: &'a Layer<'a>) -> Option<Self> {
        let exponent = exponent(layer.x)?;
        let zero = Step { digits: [[[0; BYTES]; 2]; DIGITS], unbias: [0; LANES] };
        let mut x = vec![zero; layer.shape.inputs / BLOCK];
        for (step, x) in x.iter_mut().zip(layer.x.as_chunks::<BLOCK>().0) {
            step.write(x, FRACTION - exponent);
        }
        Some(Self { layer, x, unit: power_of_two(exponent - FRACTION), group_sums: layer.group_sums() })
    }

    /// Computes some outputs.
    ///
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn outputs(&self, outputs: Range<usize>, sums: &mut [f32]) {
        let mut scales = vec![0.0; self.layer.groups()];
        for (output, sum) in outputs.zip(sums) {
            self.layer.scales(output, &mut scales);
            let codes = self.layer.row(output).as_chunks::<BYTES>().0;
            let mut totals = _mm256_setzero_ps();
            match self.layer.group() {
                HALF => {
                    for ((step, codes), scales) in self.x.iter().zip(codes).zip(scales.as_chunks::<2>().0) {
                        let [lower, upper] = [_mm_set1_ps(scales[0]), _mm_set1_ps(scales[1])];
                        let scales = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(lower), upper);
                        totals = _mm256_fmadd_ps(step.products(codes), scales, totals);
                    }
                }
                // The next arm without a loop of one turn.
                BLOCK => {
                    for ((step, codes), scale) in self.x.iter().zip(codes).zip(&scales) {
                        totals = _mm256_fmadd_ps(step.products(codes), _mm256_set1_ps(*scale), totals);
                    }
                }
                group => {
                    let blocks = group / BLOCK;
                    let groups = self.x.chunks_exact(blocks).zip(codes.chunks_exact(blocks));
                    for ((steps, codes), scale) in groups.zip(&scales) {
                        let scale = _mm256_set1_ps(*scale);
                        for (step, codes) in steps.iter().zip(codes) {
                            totals = _mm256_fmadd_ps(step.products(codes), scale, totals);
                        }
                    }
                }
            }
            let offset = self.layer.offsets_times(&self.group_sums, 0, output);
            *sum = (f64::from(total(totals)) * self.unit) as f32 + offset;
        }
    }
}

impl Step {
    /// Writes the digits of some elements times `2^shift`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn write(&mut self, x: &[bf16; BLOCK], shift: i32) {
        // Twice half of the shift: the whole of it may be more than f32 has exponents.
        let halves = [shift / 2, shift - shift / 2].map(|shift| power_of_two(shift) as f32);
        // Added to a whole number of less than 2^22, so that what is behind the point is rounded away.
        const ROUND: f32 = 1.5 * (1 << 23) as f32;
        let mut numbers = [0; BLOCK];
        for (number, x) in numbers.iter_mut().zip(x) {
            let rounded = wide(*x) * halves[0] * halves[1] + ROUND;
            *number = rounded.to_bits().cast_signed() - ROUND.to_bits().cast_signed();
        }
        for (unbias, numbers) in self.unbias.iter_mut().zip(numbers.as_chunks::<SPAN>().0) {
            *unbias = -BIAS * numbers.iter().sum::<i32>();
        }
        for digits in self.digits.iter_mut().rev() {
            for (index, pair) in numbers.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                for (number, digits) in pair.iter_mut().zip(digits.iter_mut()) {
                    // The lowest byte is the digit in two's complement: what is left is a multiple of 256.
                    digits[index] = *number as i8;
                    *number = (*number + (1 << (DIGIT - 1))) >> DIGIT;
                }
            }
        }
    }

    /// The products of a block of codes, added up in each lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn products(&self, codes: &[u8; BYTES]) -> __m256 {
        // Behind the end of a row is the next one; beyond the weight's end the address may be nobody's, and a prefetch of it
        // does nothing.
        _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_add(AHEAD).cast());
        // SAFETY: 32 bytes.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let mask = _mm256_set1_epi8(15);
        let (even, odd) =
            (_mm256_and_si256(codes, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask));
        let ones = _mm256_set1_epi16(1);
        let mut lanes = [_mm256_set1_epi8(0); DIGITS];
        for (lanes, [of_even, of_odd]) in lanes.iter_mut().zip(&self.digits) {
            let even = _mm256_maddubs_epi16(even, load(of_even));
            let odd = _mm256_maddubs_epi16(odd, load(of_odd));
            *lanes = _mm256_madd_epi16(_mm256_add_epi16(even, odd), ones);
        }
        const SHIFT: i32 = DIGIT as i32;
        let [high, middle, low] = lanes;
        let upper = _mm256_add_epi32(_mm256_slli_epi32::<SHIFT>(high), middle);
        let all = _mm256_add_epi32(_mm256_slli_epi32::<SHIFT>(upper), low);
        // SAFETY: 32 bytes, aligned as the step is.
        let unbias = unsafe { _mm256_load_si256(self.unbias.as_ptr().cast()) };
        _mm256_cvtepi32_ps(_mm256_add_epi32(all, unbias))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(digits: &[i8; BYTES]) -> __m256i {
    // SAFETY: 32 bytes, aligned as the step is that they are in.
    unsafe { _mm256_load_si256(digits.as_ptr().cast()) }
}
