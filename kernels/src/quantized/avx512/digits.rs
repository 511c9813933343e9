//! The digits of [fixed-point numbers](crate::quantized::fixed) in lines of 64 bytes.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_storeu_si128, _mm512_add_epi32, _mm512_add_epi64, _mm512_castsi512_si256,
    _mm512_cvtepi32_epi8, _mm512_cvtepi32_epi64, _mm512_cvtps_epi32, _mm512_dpbusd_epi32,
    _mm512_extracti64x4_epi64, _mm512_load_si512, _mm512_maskz_loadu_epi16, _mm512_reduce_add_epi64,
    _mm512_scalef_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512,
    _mm512_slli_epi32, _mm512_srai_epi32, _mm512_store_si512, _mm512_sub_epi32,
};

use half::bf16;

use super::bytes::{BYTES, Bytes, LANES};
use crate::quantized::fixed::{DIGIT, DIGITS, FRACTION, exponent, power_of_two};
use crate::quantized::layer::Layer;

/// A register's bytes, aligned as loads like it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(in super::super) struct Line([u8; BYTES]);

impl Line {
    pub(in super::super) const ZERO: Self = Self([0; BYTES]);

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in super::super) fn load(&self) -> __m512i {
        // SAFETY: a line is an aligned register.
        unsafe { _mm512_load_si512(self.0.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in super::super) fn store(&mut self, register: __m512i) {
        // SAFETY: as above.
        unsafe { _mm512_store_si512(self.0.as_mut_ptr().cast(), register) }
    }
}

/// The digits of a block of `x`, the highest first, each in the order of the codes.
pub(in super::super) type Digits<const V: usize> = [[Line; V]; DIGITS];

/// All rows of `x`.
pub(in super::super) struct FixedPoint<const V: usize> {
    /// `[rows, blocks]`.
    pub(in super::super) blocks: Vec<Digits<V>>,
    /// What the bias of codes adds to [`products`], with the other sign, `[rows, blocks]`.
    pub(in super::super) unbias: Vec<Line>,
    pub(in super::super) rows: Vec<Row>,
}

/// What there is once for a row of `x`.
pub(in super::super) struct Row {
    /// What the whole numbers count.
    pub(in super::super) unit: f64,
    /// What the bias of codes adds to all products of the row, with the other sign.
    pub(in super::super) unbias: i64,
}

impl<const V: usize> FixedPoint<V> {
    /// The `x` of a layer, which has inputs; `None` if an element of it is no number.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and VNNI.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(in super::super) unsafe fn of<E: Bytes<V>>(layer: &Layer<'_>) -> Option<Self> {
        let (rows, per_row) = (layer.shape.rows, layer.shape.inputs.div_ceil(E::INPUTS));
        let mut blocks = vec![[[Line::ZERO; V]; DIGITS]; rows * per_row];
        let mut unbias = vec![Line::ZERO; rows * per_row];
        let mut of_rows = Vec::with_capacity(rows);
        let bias = [_mm512_set1_epi8(E::BIAS.cast_signed()); V];
        for (index, (blocks, unbias)) in
            blocks.chunks_mut(per_row).zip(unbias.chunks_mut(per_row)).enumerate()
        {
            let x = layer.x_row(index);
            let exponent = exponent(x)?;
            let mut row = Row { unit: power_of_two(exponent - FRACTION), unbias: 0 };
            for (index, (block, unbias)) in blocks.iter_mut().zip(unbias).enumerate() {
                // SAFETY: the caller's promise.
                let biases = unsafe {
                    write::<V, E>(x.get(index * E::INPUTS..).unwrap_or_default(), FRACTION - exponent, block);
                    products(bias, block, _mm512_setzero_si512())
                };
                unbias.store(_mm512_sub_epi32(_mm512_setzero_si512(), biases));
                row.unbias -= total(biases);
            }
            of_rows.push(row);
        }
        Some(Self { blocks, unbias, rows: of_rows })
    }
}

/// Writes the digits of as many elements as there are, times `2^shift`, and zeros behind them.
///
/// # Safety
/// The processor has AVX-512 F and BW.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn write<const V: usize, E: Bytes<V>>(x: &[bf16], shift: i32, block: &mut Digits<V>) {
    let shift = _mm512_set1_ps(shift as f32);
    let half = _mm512_set1_epi32(1 << (DIGIT - 1));
    for part in 0..BYTES / LANES {
        let left = x.get(part * LANES * V..).unwrap_or_default();
        let mask = u32::MAX.checked_shr(32 - (LANES * V).min(left.len()) as u32).unwrap_or(0);
        // SAFETY: the mask has no bits for elements that are not there; the caller's promise.
        let values = unsafe { E::widened(_mm512_maskz_loadu_epi16(mask, left.as_ptr().cast())) };
        for (vector, values) in values.into_iter().enumerate() {
            let mut number = _mm512_cvtps_epi32(_mm512_scalef_ps(values, shift));
            for digits in block.iter_mut().rev() {
                let to = &mut digits[vector].0.as_chunks_mut::<LANES>().0[part];
                // SAFETY: 16 bytes.
                unsafe { _mm_storeu_si128(to.as_mut_ptr().cast::<__m128i>(), _mm512_cvtepi32_epi8(number)) };
                // The lowest byte is the digit in two's complement: what is left is a multiple of 256.
                number = _mm512_srai_epi32::<DIGIT>(_mm512_add_epi32(number, half));
            }
        }
    }
}

/// The sum of products of bytes and `x` in each lane, and of what `start` has there.
///
/// # Safety
/// The processor has AVX-512 F and VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(in super::super) unsafe fn products<const V: usize>(
    bytes: [__m512i; V],
    [high, middle, low]: &Digits<V>,
    start: __m512i,
) -> __m512i {
    let zero = _mm512_setzero_si512();
    // Each digit by itself: none waits for another.
    let (mut sum_high, mut sum_middle, mut sum_low) = (zero, zero, start);
    for (vector, bytes) in bytes.into_iter().enumerate() {
        sum_high = _mm512_dpbusd_epi32(sum_high, bytes, high[vector].load());
        sum_middle = _mm512_dpbusd_epi32(sum_middle, bytes, middle[vector].load());
        sum_low = _mm512_dpbusd_epi32(sum_low, bytes, low[vector].load());
    }
    let upper = _mm512_add_epi32(
        _mm512_slli_epi32::<{ 2 * DIGIT }>(sum_high),
        _mm512_slli_epi32::<DIGIT>(sum_middle),
    );
    _mm512_add_epi32(upper, sum_low)
}

/// The sum of all lanes, which may be more than a lane holds.
#[inline]
#[target_feature(enable = "avx512f")]
fn total(lanes: __m512i) -> i64 {
    let lower = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(lanes));
    let upper = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64::<1>(lanes));
    _mm512_reduce_add_epi64(_mm512_add_epi64(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantized::avx512::bytes::{Int4, Int8};
    use crate::quantized::{Codes, EncodedWeight, Scales};
    use crate::{LinearResult, LinearShape};

    /// A row `x` as its digits say, with the unit; `None` if it has none.
    fn through_digits<const V: usize, E: Bytes<V>>(x: &[bf16]) -> Option<(Vec<f64>, f64)> {
        let shape = LinearShape { rows: 1, inputs: x.len(), outputs: 0 };
        let codes = if V == 1 { Codes::Int8(&[]) } else { Codes::Int4(&[]) };
        let weight = EncodedWeight { codes, scales: Scales::F32(&[]), offsets: None, groups: 1 };
        let layer = Layer::new(shape, x, weight, &LinearResult::F32(&mut [])).unwrap();
        // SAFETY: the tests below ask for the processor's features.
        let fixed = unsafe { FixedPoint::<V>::of::<E>(&layer) }?;
        let digit = |line: &Line, at: usize| f64::from(line.0[at].cast_signed());
        let element = |at: usize| {
            let (block, vector, byte) = (at / E::INPUTS, at % V, at % E::INPUTS / V);
            let digits = fixed.blocks[block].iter();
            digits.fold(0.0, |number, digits| number * 256.0 + digit(&digits[vector], byte))
                * fixed.rows[0].unit
        };
        let whole = fixed.blocks.len() * E::INPUTS;
        assert!((x.len()..whole).all(|at| element(at) == 0.0));
        Some(((0..x.len()).map(element).collect(), fixed.rows[0].unit))
    }

    fn can() -> bool {
        crate::Features::detect().has(crate::Instructions::Avx512Bf16)
    }

    fn check(x: &[bf16]) {
        let largest = x.iter().map(|x| x.to_f64().abs()).fold(0.0, f64::max);
        for (found, unit) in [through_digits::<1, Int8>(x).unwrap(), through_digits::<2, Int4>(x).unwrap()] {
            for (found, x) in found.iter().zip(x) {
                let x = x.to_f64();
                assert!((found - x).abs() <= unit / 2.0, "{found} for {x}, unit {unit}");
                assert!(found == &x || x.abs() < largest * 2f64.powi(-14), "{found} for {x} of {largest}");
            }
            assert!(unit <= 2f64.powi(-21) * largest.max(2f64.powi(-126)));
        }
    }

    #[test]
    fn digits_are_the_number() {
        if !can() {
            return;
        }
        // All there are, of numbers and of their opposites, in rows whose largest is 2^n or just below 2^(n + 1).
        let numbers = |below: u16| (0..below).flat_map(|bits| [bits, bits | 0x8000]).map(bf16::from_bits);
        for below in [1, 2, 0x7f, 0x80, 0x81, 0x101, 0x3f80, 0x3f81, 0x4001, 0x4000, 0x7f80] {
            check(&numbers(below).collect::<Vec<_>>());
        }
        for inputs in [2, 14, 16, 18, 62, 64, 66, 126, 128, 130, 300] {
            check(&crate::test_data::numbers(inputs, 1));
        }
    }

    #[test]
    fn what_is_no_number_has_no_digits() {
        if !can() {
            return;
        }
        for value in [bf16::NAN, -bf16::NAN, bf16::INFINITY, bf16::NEG_INFINITY] {
            let mut x = vec![bf16::ONE; 200];
            x[150] = value;
            assert!(through_digits::<1, Int8>(&x).is_none() && through_digits::<2, Int4>(&x).is_none());
        }
    }
}
