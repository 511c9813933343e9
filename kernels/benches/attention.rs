//! Attention of many queries beside the rate of matrix products, and of one beside the bandwidth at which its cache is
//! read. `cargo bench -p lapidary-kernels --bench attention`, or only some forms: `... -- amx_bf16`.

mod common;

use std::time::Instant;

use common::forms;
use half::bf16;
use lapidary_kernels::{AttentionNumbers, AttentionOperands, AttentionShape, Features, Pool, attention};

/// `(name, kv heads, group, head_dim)` of Gemma 2 2B, 9B and 27B and Gemma 1 7B.
const MODELS: &[(&str, usize, usize, usize)] =
    &[("2b", 4, 2, 256), ("9b", 8, 2, 256), ("27b", 16, 2, 128), ("gemma1-7b", 16, 1, 256)];

/// `(sequences, queries, slots, window)`; the queries are the last tokens of full caches.
const CASES: &[(usize, usize, usize, Option<i32>)] = &[
    (1, 512, 512, None),
    (1, 512, 8192, None),
    (1, 512, 4608, Some(4096)),
    (1, 1, 8192, None),
    (8, 1, 1024, None),
];

fn main() {
    let pool = Pool::global();
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    println!("{} threads, {}", pool.threads(), Features::detect());
    for &(name, kv_heads, group, head_dim) in MODELS {
        for &(batch, queries, slots, window) in CASES {
            let shape = AttentionShape { batch, queries, kv_heads, group, slots, head_dim };
            let cache = vec![bf16::from_f32(0.5); batch * kv_heads * slots * head_dim];
            let query = vec![bf16::from_f32(0.25); batch * queries * kv_heads * group * head_dim];
            let positions: Vec<i32> =
                (0..batch).flat_map(|_| (slots - queries) as i32..slots as i32).collect();
            let slot_positions: Vec<i32> = (0..batch).flat_map(|_| 0..slots as i32).collect();
            let operands = AttentionOperands {
                query: &query,
                positions: &positions,
                keys: &cache,
                values: &cache,
                slot_positions: &slot_positions,
            };
            let numbers = AttentionNumbers { scale: 0.0625, softcap: Some(50.0), window };
            let seen = |position: &i32| (position + 1).min(window.unwrap_or(i32::MAX)) as usize;
            let pairs: usize = positions.iter().map(seen).sum();
            let operations = 4 * pairs * kv_heads * group * head_dim;
            for (form, features) in forms() {
                if !asked.is_empty() && !asked.iter().any(|asked| asked == form) {
                    continue;
                }
                let mut out = vec![bf16::ZERO; query.len()];
                let mut best = f64::INFINITY;
                for _ in 0..5 {
                    let started = Instant::now();
                    let done = attention(pool, features, shape, numbers, operands, &mut out);
                    best = best.min(started.elapsed().as_secs_f64());
                    assert!(done.is_ok());
                }
                println!(
                    "{name:10} {batch} x {queries:3} queries over {slots:4} {form:12} {:8.3} ms {:6.1} GB/s {:6.0} GFLOP/s",
                    best * 1e3,
                    (4 * cache.len()) as f64 / best / 1e9,
                    operations as f64 / best / 1e9
                );
            }
        }
    }
}
