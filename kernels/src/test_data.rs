//! What the kernels' tests have in common.

use half::bf16;

use crate::{Features, Instructions};

/// Numbers between -1 and 1 that look random: a multiplicative hash of the index.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<bf16> {
    let number = |i: u64| {
        let hash = (i.wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(31);
        let hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        bf16::from_f32(hash as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..count as u64).map(number).collect()
}

/// Every form of a kernel that this processor has.
pub(crate) fn forms() -> Vec<Features> {
    let mut features = Features::detect();
    let mut forms = vec![features];
    for instructions in Instructions::ALL.iter().rev() {
        features = features.without(*instructions);
        forms.push(features);
    }
    forms.dedup();
    forms
}
