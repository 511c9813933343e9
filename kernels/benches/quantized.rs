//! The quantized linear kernel beside its limit: the bandwidth of memory for few rows, the products of bf16 for many.
//!
//! `cargo bench -p lapidary-kernels --bench quantized`, or only some: `-- "gemma2-2b q" int4/32 avx2 1 16` (weights,
//! encodings, forms, rows). With `-- --splice docs/kernels.md` the table there is written anew.

mod common;

use common::limits::Limits;
use common::models::{LARGEST_WEIGHT, Projection, projections};
use common::options::Options;
use common::table::{Table, count};
use common::timing::{Work, best_of};
use half::bf16;
use lapidary_kernels::{
    Codes, EncodedWeight, Features, LinearResult, LinearShape, Pool, Scales, quantized_linear,
};

/// `(name, bits, elements of a group)`; a group of 0 is a whole row.
const ENCODINGS: [(&str, usize, usize); 5] =
    [("int8", 8, 0), ("int4/64", 4, 64), ("int4", 4, 0), ("int4/32", 4, 32), ("int8/64", 8, 64)];

/// Those in the table, which `lapidary quantize` writes by default.
const IN_TABLE: usize = 2;

/// Bytes that copies of a weight have together, so that no cache holds one from one call to the next.
const COPIES_BYTES: usize = 768 << 20;

/// Elements that have a scale, at the least.
const LEAST_GROUP: usize = 32;

fn main() {
    let options = Options::of_arguments();
    let (pool, best) = (Pool::global(), Features::detect());
    let mut limits = Limits::measure(pool);
    let memory = Memory::new();
    let rows = options.numbers_or(&[1, 8, 512]);
    let all = ENCODINGS.map(|encoding| encoding.0);
    let default = &all[..IN_TABLE];
    let encodings: Vec<_> =
        ENCODINGS.iter().filter(|encoding| options.chooses(encoding.0, &all, default)).collect();
    let columns = encodings.iter().flat_map(|(encoding, ..)| {
        rows.iter().map(move |rows| format!("{encoding}, {}", count(*rows, "row", "rows")))
    });
    let mut table = Table::new("weight", columns);
    let projections = projections();
    let names: Vec<&str> = projections.iter().map(|each| each.name.as_str()).collect();
    for Projection { name, outputs, inputs } in
        projections.iter().filter(|each| options.wants(&each.name, &names))
    {
        let (outputs, inputs) = (*outputs, *inputs);
        let mut ratios = Vec::new();
        for &&(encoding, bits, group) in &encodings {
            let groups = inputs.checked_div(group).unwrap_or(1);
            let weights = memory.weights(bits, (outputs, inputs), groups);
            let bytes = outputs * (inputs * bits / 8 + groups * size_of::<bf16>());
            for &rows in &rows {
                let shape = LinearShape { rows, inputs, outputs };
                let x = vec![bf16::from_f32(0.25); rows * inputs];
                let mut out = vec![bf16::ZERO; rows * outputs];
                let mut ratio = None;
                for (form, features) in options.forms() {
                    let seconds = best_of(weights.len(), |copy| {
                        let result = LinearResult::Bf16(&mut out);
                        let done = quantized_linear(pool, features, shape, &x, weights[copy], result);
                        assert!(done.is_ok());
                    });
                    let work = Work { bytes, operations: 2 * rows * outputs * inputs };
                    let what = format!("{name}, {encoding}, {}, {form}", count(rows, "row", "rows"));
                    let found = work.ratio(&mut limits, &what, seconds);
                    ratio = ratio.or(Some(found).filter(|_| features == best));
                }
                ratios.push(ratio);
            }
        }
        table.row(format!("{name} [{outputs}, {inputs}]"), ratios);
    }
    println!("{}", limits.describe());
    if let Some(document) = &options.splice {
        table.splice(&limits.describe(), document, "quantized");
    }
}

/// What weights are made of.
struct Memory {
    int8: Vec<i8>,
    int4: Vec<u8>,
    scales: Vec<bf16>,
}

impl Memory {
    fn new() -> Self {
        Self {
            int8: vec![0x3d; LARGEST_WEIGHT],
            int4: vec![0x3d; LARGEST_WEIGHT.div_ceil(2).max(COPIES_BYTES)],
            scales: vec![bf16::from_f32(0.5); 2 * COPIES_BYTES.max(LARGEST_WEIGHT) / LEAST_GROUP],
        }
    }

    /// As many copies of a weight as no cache holds.
    fn weights(
        &self,
        bits: usize,
        (outputs, inputs): (usize, usize),
        groups: usize,
    ) -> Vec<EncodedWeight<'_>> {
        let bytes = outputs * inputs * bits / 8;
        let codes: Vec<Codes<'_>> = match bits {
            8 => self.int8.chunks_exact(bytes).map(Codes::Int8).collect(),
            _ => self.int4.chunks_exact(bytes).map(Codes::Int4).collect(),
        };
        let scales = self.scales.chunks_exact(outputs * groups).map(Scales::Bf16);
        let pairs = codes.into_iter().zip(scales).take(COPIES_BYTES.div_ceil(bytes));
        pairs.map(|(codes, scales)| EncodedWeight { codes, scales, offsets: None, groups }).collect()
    }
}
