//! What the benchmarks share: the forms of a kernel, and the memory's speed.

// Not every benchmark uses all of it.
#![allow(dead_code)]

use std::sync::OnceLock;
use std::time::Instant;

use lapidary_kernels::{Features, Instructions, Pool};

/// What this processor has, and the same without its best instructions, one after the other.
pub fn forms() -> Vec<(&'static str, Features)> {
    let mut features = Features::detect();
    let mut forms = Vec::new();
    for instructions in Instructions::ALL.iter().rev() {
        if features.has(*instructions) {
            forms.push((instructions.name(), features));
        }
        features = features.without(*instructions);
    }
    forms
}

/// Bytes a second that all threads read together, as a plain loop does.
pub fn bandwidth(pool: &Pool) -> f64 {
    static WORDS: OnceLock<Vec<u64>> = OnceLock::new();
    let words = WORDS.get_or_init(|| vec![1u64; 64 << 20]);
    let part = words.len() / pool.threads();
    let mut best = f64::INFINITY;
    for _ in 0..2 {
        let started = Instant::now();
        pool.run(pool.threads(), &|index| {
            std::hint::black_box(words[index * part..][..part].iter().fold(0, |sum: u64, word| sum ^ word));
        });
        best = best.min(started.elapsed().as_secs_f64());
    }
    (words.len() * 8) as f64 / best
}
