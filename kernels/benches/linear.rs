//! Each form of the linear kernel beside its limit: the read bandwidth of memory for few rows, and the rate of matrix
//! products that one shape reaches for many. `cargo bench -p lapidary-kernels`, or only some:
//! `cargo bench -p lapidary-kernels -- "2b up" amx_bf16 1 512` (shapes, forms, rows).

mod common;

use std::time::Instant;

use common::{bandwidth, forms};
use half::bf16;
use lapidary_kernels::{Features, Instructions, LinearResult, LinearShape, Pool, linear};

/// `(name, outputs, inputs)` of the projections of Gemma 2 2B, 9B and 27B and Gemma 1 7B; the vocabulary is cut.
const SHAPES: &[(&str, usize, usize)] = &[
    ("2b q", 2048, 2304),
    ("2b k", 1024, 2304),
    ("2b up", 9216, 2304),
    ("2b down", 2304, 9216),
    ("2b lm_head/4", 64000, 2304),
    ("9b up", 14336, 3584),
    ("27b q", 4096, 4608),
    ("27b down", 4608, 36864),
    ("gemma1-7b down", 3072, 24576),
];

fn main() {
    let pool = Pool::global();
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let rows: Vec<usize> = asked.iter().filter_map(|arg| arg.parse().ok()).collect();
    let rows = if rows.is_empty() { vec![1, 2, 4, 8, 16, 512] } else { rows };
    let wanted = |name: &str, all: &[&str]| {
        asked.iter().any(|arg| arg == name) || !all.iter().any(|name| asked.iter().any(|arg| arg == name))
    };
    let shapes: Vec<&str> = SHAPES.iter().map(|shape| shape.0).collect();
    let names: Vec<&str> = Instructions::ALL.iter().map(|i| i.name()).collect();
    println!("{} threads, {}", pool.threads(), Features::detect());
    println!("read bandwidth {:.1} GB/s", bandwidth(pool) / 1e9);
    for &(name, outputs, inputs) in SHAPES.iter().filter(|shape| wanted(shape.0, &shapes)) {
        // Several copies, so that no cache holds the weight from one call to the next.
        let copies = (512usize << 20).div_ceil(outputs * inputs * 2);
        let weights: Vec<Vec<bf16>> =
            (0..copies).map(|_| vec![bf16::from_f32(0.5); outputs * inputs]).collect();
        for &rows in &rows {
            let x = vec![bf16::from_f32(0.25); rows * inputs];
            let mut out = vec![bf16::ZERO; rows * outputs];
            let shape = LinearShape { rows, inputs, outputs };
            for (form, features) in forms().into_iter().filter(|form| wanted(form.0, &names)) {
                let mut best = f64::INFINITY;
                for weight in weights.iter().cycle().take(if rows > 64 { 4 } else { copies.max(12) }) {
                    let started = Instant::now();
                    let done = linear(pool, features, shape, &x, weight, LinearResult::Bf16(&mut out));
                    best = best.min(started.elapsed().as_secs_f64());
                    assert!(done.is_ok());
                }
                let bytes = (outputs * inputs * 2) as f64;
                let operations = (2 * rows * outputs * inputs) as f64;
                println!(
                    "{name:16} {rows:4} rows {form:12} {:8.3} ms {:6.1} GB/s {:7.0} GFLOP/s",
                    best * 1e3,
                    bytes / best / 1e9,
                    operations / best / 1e9
                );
            }
        }
    }
}
