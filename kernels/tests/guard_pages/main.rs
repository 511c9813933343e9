//! No kernel reads or writes outside its slices: every operand lies against a page that may not be touched, once with its end
//! and once with its beginning. A kernel that does not keep to them is killed.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attention;
mod guarded;
mod linear;
mod quantized;
mod rows;

use half::bf16;
use lapidary_kernels::{Features, Instructions};

/// Every form that this processor has.
fn forms() -> Vec<Features> {
    let mut features = Features::detect();
    let mut forms = vec![features];
    for instructions in Instructions::ALL.iter().rev() {
        features = features.without(*instructions);
        forms.push(features);
    }
    forms.dedup();
    forms
}

/// Numbers of all kinds: small and large, and every fiftieth infinite or none.
fn values(count: usize, seed: usize) -> Vec<bf16> {
    let value = |i: usize| match (i * 7 + seed) % 101 {
        100 => bf16::NAN,
        50 => bf16::NEG_INFINITY,
        other => bf16::from_f32((other as f32 - 47.0) / 8.0),
    };
    (0..count).map(value).collect()
}

/// Numbers of rows that kernels go different ways for.
const ROWS: [usize; 8] = [1, 2, 3, 4, 5, 16, 17, 70];
