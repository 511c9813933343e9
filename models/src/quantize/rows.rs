//! Codes and scales of some rows of a weight, on as many threads as there are processors.

use std::num::NonZeroUsize;
use std::thread;

use super::errors::Errors;
use super::levels::Bits;
use super::scale::best_scale;
use crate::convert::{decode, encode};
use crate::dtype::StoredDtype;

/// How rows are encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoder {
    pub(super) bits: Bits,
    /// Inputs of a row.
    pub(super) columns: usize,
    /// Inputs that share a scale; divides `columns`.
    pub(super) group: usize,
    /// Element type of the weights.
    pub(super) dtype: StoredDtype,
    pub(super) scale_dtype: StoredDtype,
}

/// What was made of some rows.
pub(super) struct EncodedRows {
    /// A byte a code (two's complement), or a byte two codes: the first in the lower half, each plus 8.
    pub(super) codes: Vec<u8>,
    /// One scale a group.
    pub(super) scales: Vec<u8>,
    pub(super) errors: Errors,
}

/// A weight that no code stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NonFiniteAt {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) value: f32,
}

impl Encoder {
    /// Bytes of a row of weights.
    pub(super) const fn weight_bytes(&self) -> usize {
        self.columns * self.dtype.size()
    }

    /// Bytes of a row of codes.
    pub(super) const fn code_bytes(&self) -> usize {
        self.columns * self.bits.count() / 8
    }

    /// Bytes of a row of scales.
    pub(super) const fn scale_bytes(&self) -> usize {
        self.columns / self.group * self.scale_dtype.size()
    }

    /// Encodes whole rows of stored weights.
    ///
    /// # Errors
    /// The first weight that is NaN or infinite; rows are counted from the first of these.
    pub(super) fn encode(&self, weights: &[u8], threads: NonZeroUsize) -> Result<EncodedRows, NonFiniteAt> {
        let rows = weights.len() / self.weight_bytes();
        let mut codes = vec![0; rows * self.code_bytes()];
        let mut scales = vec![0; rows * self.scale_bytes()];
        let share = rows.div_ceil(threads.get()).max(1);
        let parts = weights
            .chunks(share * self.weight_bytes())
            .zip(codes.chunks_mut(share * self.code_bytes()))
            .zip(scales.chunks_mut(share * self.scale_bytes()));
        let results: Vec<Result<Errors, NonFiniteAt>> = thread::scope(|scope| {
            let work: Vec<_> = parts
                .enumerate()
                .map(|(part, ((weights, codes), scales))| {
                    scope.spawn(move || self.encode_part(part * share, weights, codes, scales))
                })
                .collect();
            work.into_iter()
                .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut errors = Errors::default();
        for result in results {
            errors = errors.with(result?);
        }
        Ok(EncodedRows { codes, scales, errors })
    }

    /// Encodes rows, the first of which is number `first`.
    fn encode_part(
        &self,
        first: usize,
        weights: &[u8],
        codes: &mut [u8],
        scales: &mut [u8],
    ) -> Result<Errors, NonFiniteAt> {
        let mut row = vec![0.0; self.columns];
        let mut row_scales = vec![0.0; self.columns / self.group];
        let mut errors = Errors::default();
        let places = codes.chunks_mut(self.code_bytes()).zip(scales.chunks_mut(self.scale_bytes()));
        for (index, (weights, (codes, scales))) in weights.chunks(self.weight_bytes()).zip(places).enumerate()
        {
            decode(self.dtype, weights, &mut row);
            if let Some((column, value)) = row.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                return Err(NonFiniteAt { row: first + index, column, value: *value });
            }
            for (weights, scale) in row.chunks(self.group).zip(&mut row_scales) {
                *scale = best_scale(weights, self.bits.levels(), self.scale_dtype);
            }
            self.write_codes(&row, &row_scales, codes, &mut errors);
            encode(&row_scales, self.scale_dtype, scales);
        }
        Ok(errors)
    }

    fn write_codes(&self, row: &[f32], scales: &[f32], out: &mut [u8], errors: &mut Errors) {
        let levels = self.bits.levels();
        let groups = row.chunks(self.group).zip(scales);
        let mut codes = groups.flat_map(|(weights, &scale)| {
            let reciprocal = scale.recip();
            weights.iter().map(move |&weight| {
                let code = levels.nearest(weight * reciprocal);
                (weight, code * scale, code)
            })
        });
        let mut next = || {
            let (weight, decoded, code) = codes.next()?;
            errors.add_weight(weight, decoded);
            Some(code as i8)
        };
        match self.bits {
            Bits::Eight => {
                for byte in out {
                    let Some(code) = next() else { return };
                    *byte = code.cast_unsigned();
                }
            }
            Bits::Four => {
                for byte in out {
                    let (Some(low), Some(high)) = (next(), next()) else { return };
                    *byte = (low + 8).cast_unsigned() | ((high + 8).cast_unsigned() << 4);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(values: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; 4 * values.len()];
        encode(values, StoredDtype::F32, &mut bytes);
        bytes
    }

    const THREADS: NonZeroUsize = NonZeroUsize::MIN;

    #[test]
    fn codes_are_packed_from_the_lower_half_up() {
        let four = Encoder {
            bits: Bits::Four,
            columns: 8,
            group: 4,
            dtype: StoredDtype::F32,
            scale_dtype: StoredDtype::F16,
        };
        let weights = [-8.0, 7.0, 0.0, 1.0, 0.5, -4.0, 3.5, 0.0];
        let rows = four.encode(&stored(&weights), THREADS).unwrap();
        assert_eq!(rows.codes, [0xf0, 0x98, 0x09, 0x8f]);
        assert_eq!(rows.scales, [0x00, 0x3c, 0x00, 0x38], "1 and 1/2");
        assert_eq!((rows.errors.count, rows.errors.squared_error), (8, 0.0));

        let eight = Encoder { bits: Bits::Eight, group: 8, ..four };
        let rows = eight.encode(&stored(&[-127.0, 127.0, 1.0, 0.0, -1.0, 64.0, 2.0, 3.0]), THREADS).unwrap();
        assert_eq!(rows.codes, [0x81, 0x7f, 1, 0, 0xff, 64, 2, 3]);
    }

    #[test]
    fn threads_change_nothing() {
        let values: Vec<f32> = (0..7 * 32).map(|i| (i as f32 * 0.7).sin()).collect();
        let encoder = Encoder {
            bits: Bits::Four,
            columns: 32,
            group: 16,
            dtype: StoredDtype::F32,
            scale_dtype: StoredDtype::Bf16,
        };
        let alone = encoder.encode(&stored(&values), THREADS).unwrap();
        for threads in [2, 3, 7, 20] {
            let several = encoder.encode(&stored(&values), NonZeroUsize::new(threads).unwrap()).unwrap();
            assert_eq!((&several.codes, &several.scales), (&alone.codes, &alone.scales), "{threads}");
            assert_eq!(several.errors.count, alone.errors.count);
        }

        let mut broken = values;
        (broken[5 * 32 + 9], broken[6 * 32]) = (f32::NAN, f32::INFINITY);
        for threads in [1, 2, 7] {
            let found = encoder.encode(&stored(&broken), NonZeroUsize::new(threads).unwrap()).err().unwrap();
            assert_eq!((found.row, found.column), (5, 9));
        }
    }
}
