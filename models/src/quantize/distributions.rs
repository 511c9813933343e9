//! What codes cost weights of known distributions, in rows as long as Gemma 2 2B's: the table of docs/quantization.md,
//! which `cargo test -p lapidary-models distributions -- --nocapture` prints.

use std::num::NonZeroUsize;

use super::levels::Bits;
use super::rows::{EncodedRows, Encoder};
use crate::convert::encode;
use crate::dtype::StoredDtype;

const COLUMNS: usize = 2304;
const ROWS: usize = 64;

/// Uniform numbers between 0 and 1, by xorshift (Marsaglia, "Xorshift RNGs", 2003).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }

    fn laplace(&mut self) -> f64 {
        let sign = if self.next() < 0.5 { -1.0 } else { 1.0 };
        -sign * self.next().ln()
    }

    /// With so many degrees of freedom.
    fn student(&mut self, freedom: usize) -> f64 {
        let normal = self.normal();
        let squares: f64 = (0..freedom).map(|_| self.normal().powi(2)).sum();
        normal / (squares / freedom as f64).sqrt()
    }
}

/// Signal to noise of the codes of bf16 weights, in decibels.
fn snr_db(weights: &[u8], bits: Bits, group: usize) -> f64 {
    let encoder =
        Encoder { bits, columns: COLUMNS, group, dtype: StoredDtype::Bf16, scale_dtype: StoredDtype::Bf16 };
    let EncodedRows { errors, .. } = encoder.encode(weights, NonZeroUsize::new(2).unwrap()).unwrap();
    errors.snr_db().unwrap()
}

/// That of the largest weight over the largest code, without a search.
fn plain_snr_db(weights: &[u8], bits: Bits, group: usize) -> f64 {
    let (mut squared, mut squared_error) = (0.0_f64, 0.0_f64);
    let levels = bits.levels();
    for group in weights.chunks(2 * group) {
        let mut values = vec![0.0; group.len() / 2];
        crate::convert::decode(StoredDtype::Bf16, group, &mut values);
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = half::bf16::from_f32(largest / levels.high).to_f32();
        for value in values {
            squared += f64::from(value).powi(2);
            squared_error += f64::from(value - levels.nearest(value / scale) * scale).powi(2);
        }
    }
    10.0 * (squared / squared_error).log10()
}

#[test]
fn distributions() {
    type Draw = fn(&mut Uniform) -> f64;
    let cases: [(&str, Draw, [f64; 5]); 3] = [
        ("normal", Uniform::normal, [40.0, 20.0, 20.0, 19.0, 18.0]),
        ("Laplace", Uniform::laplace, [34.0, 18.0, 17.0, 16.0, 14.0]),
        ("Student's t, 4 degrees", |uniform| uniform.student(4), [28.0, 18.0, 17.0, 15.0, 10.0]),
    ];
    println!("| weights | int8 channel | int4 32 | int4 64 | int4 128 | int4 channel |");
    for (name, draw, least) in cases {
        let mut uniform = Uniform(0x9e37_79b9_7f4a_7c15);
        let values: Vec<f32> = (0..ROWS * COLUMNS).map(|_| 0.02 * draw(&mut uniform) as f32).collect();
        let mut weights = vec![0; 2 * values.len()];
        encode(&values, StoredDtype::Bf16, &mut weights);
        let forms = [
            (Bits::Eight, COLUMNS),
            (Bits::Four, 32),
            (Bits::Four, 64),
            (Bits::Four, 128),
            (Bits::Four, COLUMNS),
        ];
        let mut line = format!("| {name} |");
        for ((bits, group), least) in forms.into_iter().zip(least) {
            let (found, plain) = (snr_db(&weights, bits, group), plain_snr_db(&weights, bits, group));
            assert!(found >= least, "{name}, {bits} in groups of {group}: {found} dB");
            assert!(
                found >= plain,
                "{name}, {bits} in groups of {group}: {found} dB, {plain} without a search"
            );
            line += &format!(" {found:.1} ({plain:.1}) |");
        }
        println!("{line}");
    }
}
