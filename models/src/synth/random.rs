//! Normally distributed weights, as fast as a disk takes them.
//!
//! Sixteen random bits choose one of 65,536 equally likely quantiles of the normal distribution, already scaled
//! and encoded in the element type. The values therefore have exactly the mean asked for, 0.9999 of the standard
//! deviation, and lie within 4.33 of them. Bits come from SplitMix64 in counter mode: element `i` of a tensor
//! depends on the seed, the tensor's name and `i` only, not on what was written before it.

use crate::convert::encode;
use crate::dtype::StoredDtype;

/// Number of quantiles, one for each value of 16 bits.
const QUANTILES: usize = 1 << 16;
/// Elements drawn from one 64-bit word.
pub(super) const ELEMENTS_PER_WORD: usize = 4;

/// The standard normal distribution's quantiles at `(i + 1/2) / 65536`.
pub(super) struct NormalQuantiles(Vec<f32>);

impl NormalQuantiles {
    pub(super) fn new() -> Self {
        let quantile = |index: usize| normal_quantile((index as f64 + 0.5) / QUANTILES as f64) as f32;
        Self((0..QUANTILES).map(quantile).collect())
    }

    /// The quantiles of a normal distribution, as stored elements.
    pub(super) fn encoded(&self, mean: f64, std: f64, dtype: StoredDtype) -> EncodedQuantiles {
        let values: Vec<f32> = self.0.iter().map(|z| (mean + std * f64::from(*z)) as f32).collect();
        let mut bytes = vec![0; QUANTILES * dtype.size()];
        encode(&values, dtype, &mut bytes);
        match dtype {
            StoredDtype::Bf16 | StoredDtype::F16 => EncodedQuantiles::Two(bytes.as_chunks().0.to_vec()),
            StoredDtype::F32 => EncodedQuantiles::Four(bytes.as_chunks().0.to_vec()),
        }
    }

    /// The same of mean zero, rounded to codes of 8 bits.
    pub(super) fn int8(&self, std: f64) -> EncodedQuantiles {
        let code = |z: &f32| [((std * f64::from(*z)).round() as i8).cast_unsigned()];
        EncodedQuantiles::One(self.0.iter().map(code).collect())
    }

    /// Pairs of the same rounded to codes of 4 bits, each plus 8: eight of the sixteen bits choose either of them.
    pub(super) fn int4_pairs(&self, std: f64) -> EncodedQuantiles {
        // The middle one of every 256 quantiles.
        let chosen = self.0.iter().skip(128).step_by(256);
        let codes: Vec<u8> =
            chosen.map(|z| ((std * f64::from(*z)).round().clamp(-8.0, 7.0) + 8.0) as u8).collect();
        let pairs = codes.iter().flat_map(|high| codes.iter().map(move |low| [low | (high << 4)]));
        EncodedQuantiles::One(pairs.collect())
    }
}

/// Stored elements, one for each value of 16 bits.
pub(super) enum EncodedQuantiles {
    One(Vec<[u8; 1]>),
    Two(Vec<[u8; 2]>),
    Four(Vec<[u8; 4]>),
}

impl EncodedQuantiles {
    /// Bytes of one element.
    pub(super) const fn size(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
            Self::Four(_) => 4,
        }
    }

    /// Fills `out` with the elements of the stream `key` from number `first` on, a multiple of
    /// [`ELEMENTS_PER_WORD`].
    pub(super) fn fill(&self, key: u64, first: u64, out: &mut [u8]) {
        let first_word = first / ELEMENTS_PER_WORD as u64;
        match self {
            Self::One(table) => fill(table, key, first_word, out),
            Self::Two(table) => fill(table, key, first_word, out),
            Self::Four(table) => fill(table, key, first_word, out),
        }
    }
}

fn fill<const SIZE: usize>(table: &[[u8; SIZE]], key: u64, first_word: u64, out: &mut [u8]) {
    // An array, unlike a slice, is indexed by 16 bits without a bounds check.
    let Ok(table) = <&[[u8; SIZE]; QUANTILES]>::try_from(table) else { return };
    let elements = out.as_chunks_mut::<SIZE>().0;
    for (word, elements) in (first_word..).zip(elements.chunks_mut(ELEMENTS_PER_WORD)) {
        let mut bits = split_mix(key, word);
        for element in elements {
            *element = table[usize::from(bits as u16)];
            bits >>= 16;
        }
    }
}

/// The stream of the tensor `name` under `seed`.
pub(super) fn stream_key(seed: u64, name: &str) -> u64 {
    // FNV-1a.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    split_mix(split_mix(seed, 0), hash)
}

/// Output number `counter` of SplitMix64 seeded with `key` (Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", 2014).
const fn split_mix(key: u64, counter: u64) -> u64 {
    let mut z = key.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The inverse of the standard normal distribution function, by Acklam's rational approximations (relative error
/// below 1.15e-9), for `p` inside (0, 1).
fn normal_quantile(p: f64) -> f64 {
    const CENTRE_NUMERATOR: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const CENTRE_DENOMINATOR: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const TAIL_NUMERATOR: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const TAIL_DENOMINATOR: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    /// Where the tails begin.
    const TAIL: f64 = 0.024_25;

    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, term| sum * x + term);
    let lower_tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&TAIL_NUMERATOR, q) / horner(&TAIL_DENOMINATOR, q)
    };
    if p < TAIL {
        lower_tail(p)
    } else if p > 1.0 - TAIL {
        -lower_tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        q * horner(&CENTRE_NUMERATOR, r) / horner(&CENTRE_DENOMINATOR, r)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_normal_distributions() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.001, -3.090_232_306), (0.841_344_746, 1.0)] {
            assert!((normal_quantile(p) - z).abs() < 1e-8, "{p}");
        }
        let NormalQuantiles(values) = NormalQuantiles::new();
        let sum: f64 = values.iter().map(|z| f64::from(*z)).sum();
        let squares: f64 = values.iter().map(|z| f64::from(*z).powi(2)).sum();
        assert!(sum.abs() < 1e-2, "{sum}");
        let std = (squares / QUANTILES as f64).sqrt();
        assert!((std - 0.9999).abs() < 1e-4, "{std}");
        assert!(values.iter().all(|z| z.abs() < 4.33));
    }

    #[test]
    fn streams_have_the_moments_asked_for_and_no_correlation() {
        let table = NormalQuantiles::new().encoded(1.0, 2.0, StoredDtype::F32);
        let draw = |name: &str| {
            let mut bytes = vec![0; 4 << 18];
            table.fill(stream_key(1, name), 0, &mut bytes);
            let values = bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
            values.collect::<Vec<_>>()
        };
        let (a, b) = (draw("a"), draw("b"));
        let count = a.len() as f64;
        let mean = a.iter().sum::<f64>() / count;
        let variance = a.iter().map(|x| (x - 1.0).powi(2)).sum::<f64>() / count;
        // Five standard errors.
        let tolerance = 5.0 / count.sqrt();
        assert!((mean - 1.0).abs() < 2.0 * tolerance, "{mean}");
        assert!((variance / 4.0 - 1.0).abs() < 2.0 * tolerance, "{variance}");
        let correlation = |x: &[f64], y: &[f64]| {
            x.iter().zip(y).map(|(x, y)| (x - 1.0) * (y - 1.0)).sum::<f64>() / (4.0 * count)
        };
        assert!(correlation(&a, &b).abs() < tolerance);
        for lag in 1..=5 {
            assert!(correlation(&a[lag..], &a).abs() < tolerance, "lag {lag}");
        }
    }

    #[test]
    fn elements_do_not_depend_on_where_filling_began() {
        let table = NormalQuantiles::new().encoded(0.0, 1.0, StoredDtype::Bf16);
        let (mut whole, mut part) = (vec![0; 200], vec![0; 50]);
        table.fill(7, 0, &mut whole);
        table.fill(7, 64, &mut part);
        assert_eq!(whole[128..178], part);
    }
}
