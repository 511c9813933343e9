//! The linear kernel beside its limit: the bandwidth of memory for few rows, the products of the processor for many.
//!
//! `cargo bench -p lapidary-kernels --bench linear`, or only some: `-- "gemma2-2b q" avx512_bf16 portable 1 16` (weights,
//! forms, rows). With `-- --splice docs/kernels.md` the table there is written anew.

mod common;

use common::limits::Limits;
use common::models::{LARGEST_WEIGHT, Projection, projections};
use common::options::Options;
use common::table::{Table, count};
use common::timing::{Work, best_of};
use half::bf16;
use lapidary_kernels::{Features, LinearResult, LinearShape, Pool, linear};

/// Bytes that copies of a weight have together, so that no cache holds one from one call to the next.
const COPIES_BYTES: usize = 768 << 20;

fn main() {
    let options = Options::of_arguments();
    let (pool, best) = (Pool::global(), Features::detect());
    let mut limits = Limits::measure(pool);
    let memory = vec![bf16::from_f32(0.5); LARGEST_WEIGHT];
    let rows = options.numbers_or(&[1, 8, 512]);
    let mut table = Table::new("weight", rows.iter().map(|&rows| count(rows, "row", "rows")));
    let projections = projections();
    let names: Vec<&str> = projections.iter().map(|each| each.name.as_str()).collect();
    for Projection { name, outputs, inputs } in
        projections.iter().filter(|each| options.wants(&each.name, &names))
    {
        let (outputs, inputs) = (*outputs, *inputs);
        let bytes = outputs * inputs * size_of::<bf16>();
        let weights: Vec<&[bf16]> =
            memory.chunks_exact(outputs * inputs).take(COPIES_BYTES.div_ceil(bytes)).collect();
        let mut ratios = Vec::new();
        for &rows in &rows {
            let shape = LinearShape { rows, inputs, outputs };
            let x = vec![bf16::from_f32(0.25); rows * inputs];
            let mut out = vec![bf16::ZERO; rows * outputs];
            let mut ratio = None;
            for (form, features) in options.forms() {
                let seconds = best_of(weights.len(), |copy| {
                    let result = LinearResult::Bf16(&mut out);
                    assert!(linear(pool, features, shape, &x, weights[copy], result).is_ok());
                });
                let work = Work { bytes, operations: 2 * rows * outputs * inputs };
                let found = work.ratio(
                    &mut limits,
                    &format!("{name}, {}, {form}", count(rows, "row", "rows")),
                    seconds,
                );
                ratio = ratio.or(Some(found).filter(|_| features == best));
            }
            ratios.push(ratio);
        }
        table.row(format!("{name} [{outputs}, {inputs}]"), ratios);
    }
    println!("{}", limits.describe());
    if let Some(document) = &options.splice {
        table.splice(&limits.describe(), document, "linear");
    }
}
