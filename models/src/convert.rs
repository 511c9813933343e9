//! Conversion of stored elements between f32, bf16 and f16.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::dtype::{StoredDtype, TensorDtype};

/// Elements converted at a time: small enough for the stack, large enough for wide instructions.
const BLOCK: usize = 256;

/// The two buffers do not hold the same number of elements, or one holds integers and the other something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot convert {from_bytes} bytes of {from} to {to_bytes} bytes of {to}")]
pub struct ConvertError {
    /// Element type of the input.
    pub from: TensorDtype,
    /// Length of the input in bytes.
    pub from_bytes: usize,
    /// Element type of the output.
    pub to: TensorDtype,
    /// Length of the output in bytes.
    pub to_bytes: usize,
}

/// Converts little-endian elements of type `from` to elements of type `to`, rounding to nearest, ties to even.
/// NaN stays NaN, and what exceeds the range of f16 becomes infinite. Integers are only ever copied. No alignment is
/// asked of either buffer.
///
/// # Errors
/// [`ConvertError`] unless both buffers hold the same whole number of elements, of the same type or both of floats;
/// `out` is then untouched.
pub fn convert(
    from: impl Into<TensorDtype>,
    input: &[u8],
    to: impl Into<TensorDtype>,
    out: &mut [u8],
) -> Result<(), ConvertError> {
    let (from, to) = (from.into(), to.into());
    let error = ConvertError { from, from_bytes: input.len(), to, to_bytes: out.len() };
    let count = input.len() / from.size();
    if input.len() != count * from.size() || out.len() != count * to.size() {
        return Err(error);
    }
    if from == to {
        out.copy_from_slice(input);
        return Ok(());
    }
    let (Some(from), Some(to)) = (from.float(), to.float()) else { return Err(error) };
    let mut values = [0_f32; BLOCK];
    let blocks = input.chunks(BLOCK * from.size()).zip(out.chunks_mut(BLOCK * to.size()));
    for (input, out) in blocks {
        let Some(values) = values.get_mut(..input.len() / from.size()) else { continue };
        decode(from, input, values);
        encode(values, to, out);
    }
    Ok(())
}

/// Widens as many elements as `values` has room for.
pub(crate) fn decode(dtype: StoredDtype, input: &[u8], values: &mut [f32]) {
    match dtype {
        StoredDtype::F32 => {
            for (value, bytes) in values.iter_mut().zip(input.as_chunks().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        StoredDtype::Bf16 => {
            for (value, bytes) in values.iter_mut().zip(input.as_chunks().0) {
                *value = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        StoredDtype::F16 => {
            let mut halves = [f16::ZERO; BLOCK];
            for (values, input) in values.chunks_mut(BLOCK).zip(input.chunks(2 * BLOCK)) {
                let Some(halves) = halves.get_mut(..values.len()) else { continue };
                for (half, bytes) in halves.iter_mut().zip(input.as_chunks().0) {
                    *half = f16::from_le_bytes(*bytes);
                }
                halves.convert_to_f32_slice(values);
            }
        }
    }
}

/// Rounds `values` into `out`, which has room for exactly as many.
pub(crate) fn encode(values: &[f32], dtype: StoredDtype, out: &mut [u8]) {
    match dtype {
        StoredDtype::F32 => {
            for (bytes, value) in out.as_chunks_mut().0.iter_mut().zip(values) {
                *bytes = value.to_le_bytes();
            }
        }
        StoredDtype::Bf16 => {
            for (bytes, value) in out.as_chunks_mut().0.iter_mut().zip(values) {
                *bytes = bf16::from_f32(*value).to_le_bytes();
            }
        }
        StoredDtype::F16 => {
            let mut halves = [f16::ZERO; BLOCK];
            for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(2 * BLOCK)) {
                let Some(halves) = halves.get_mut(..values.len()) else { continue };
                halves.convert_from_f32_slice(values);
                for (bytes, half) in out.as_chunks_mut().0.iter_mut().zip(halves) {
                    *bytes = half.to_le_bytes();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(from: StoredDtype, input: &[u8], to: StoredDtype) -> Vec<u8> {
        let mut out = vec![0; input.len() / from.size() * to.size()];
        convert(from, input, to, &mut out).unwrap();
        out
    }

    fn narrow(value: f32, to: StoredDtype) -> u16 {
        let out = converted(StoredDtype::F32, &value.to_le_bytes(), to);
        u16::from_le_bytes(out.try_into().unwrap())
    }

    #[test]
    fn every_half_survives_a_round_trip_through_f32() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for dtype in [StoredDtype::Bf16, StoredDtype::F16] {
            let wide = converted(dtype, &bytes, StoredDtype::F32);
            let back = converted(StoredDtype::F32, &wide, dtype);
            for (index, (before, after)) in bytes.chunks(2).zip(back.chunks(2)).enumerate() {
                let value = f32::from_le_bytes(wide[index * 4..][..4].try_into().unwrap());
                // A signalling NaN may come back quiet, but never as a number.
                assert!(before == after || value.is_nan(), "{dtype} {index:#06x}");
            }
        }
    }

    #[test]
    fn ties_go_to_even() {
        let halfway_to_odd = f32::from_bits(0x3f80_8000);
        let halfway_to_even = f32::from_bits(0x3f81_8000);
        assert_eq!(narrow(halfway_to_odd, StoredDtype::Bf16), 0x3f80);
        assert_eq!(narrow(halfway_to_even, StoredDtype::Bf16), 0x3f82);
        assert_eq!(narrow(2049.0, StoredDtype::F16), f16::from_f32(2048.0).to_bits());
        assert_eq!(narrow(2051.0, StoredDtype::F16), f16::from_f32(2052.0).to_bits());
    }

    #[test]
    fn nan_and_infinity_are_kept() {
        // A NaN whose payload lies in the bits that are cut off must not become infinite.
        let nan = f32::from_bits(0x7f80_0001);
        assert!(bf16::from_bits(narrow(nan, StoredDtype::Bf16)).is_nan());
        assert!(f16::from_bits(narrow(nan, StoredDtype::F16)).is_nan());
        assert_eq!(narrow(f32::NEG_INFINITY, StoredDtype::Bf16), 0xff80);
        assert_eq!(narrow(70_000.0, StoredDtype::F16), f16::INFINITY.to_bits());
    }

    #[test]
    fn lengths_must_agree() {
        let mut out = [7; 4];
        for (input, to) in [(&[0; 3][..], StoredDtype::F32), (&[0; 4], StoredDtype::F32)] {
            assert!(convert(StoredDtype::Bf16, input, to, &mut out).is_err());
        }
        assert_eq!(out, [7; 4]);
    }

    proptest! {
        #[test]
        fn elements_convert_as_one_by_one(values in prop::collection::vec(any::<f32>(), 0..700)) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let expected: Vec<u8> =
                values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
            prop_assert_eq!(converted(StoredDtype::F32, &bytes, StoredDtype::Bf16), expected);
            let expected: Vec<u8> =
                values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
            prop_assert_eq!(converted(StoredDtype::F32, &bytes, StoredDtype::F16), expected);
        }

        #[test]
        fn rounding_is_to_the_nearest(value in -1e30_f32..1e30) {
            let rounded = bf16::from_bits(narrow(value, StoredDtype::Bf16));
            let error = (f64::from(rounded.to_f32()) - f64::from(value)).abs();
            for bits in [rounded.to_bits().wrapping_sub(1), rounded.to_bits().wrapping_add(1)] {
                let neighbour = f64::from(bf16::from_bits(bits).to_f32());
                prop_assert!(neighbour.is_nan() || error <= (neighbour - f64::from(value)).abs());
            }
        }
    }
}
