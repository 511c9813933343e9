//! Each form of the quantized linear kernel beside its limit: the read bandwidth of memory for few rows, and the rate of
//! the bf16 layer, which is multiplied by the same tiles, for many. `cargo bench -p lapidary-kernels --bench quantized`,
//! or only some: `-- "2b up" int4/64 amx_bf16 1 512` (shapes, encodings, forms, rows).

mod common;

use std::time::Instant;

use common::{bandwidth, forms};
use half::bf16;
use lapidary_kernels::{
    Codes, EncodedWeight, Features, Instructions, LinearResult, LinearShape, Pool, Scales, linear,
    quantized_linear,
};

/// `(name, outputs, inputs)` of the projections of Gemma 2 2B, 9B and 27B and Gemma 1 2B and 7B; vocabularies are cut.
const SHAPES: &[(&str, usize, usize)] = &[
    ("2b q", 2048, 2304),
    ("2b k", 1024, 2304),
    ("2b up", 9216, 2304),
    ("2b down", 2304, 9216),
    ("2b lm_head/4", 64000, 2304),
    ("9b up", 14336, 3584),
    ("27b q", 4096, 4608),
    ("27b down", 4608, 36864),
    ("gemma1-2b up", 16384, 2048),
    ("gemma1-7b down", 3072, 24576),
];

/// `(name, bits, elements of a group)`; a group of 0 is a whole row.
const ENCODINGS: &[(&str, usize, usize)] =
    &[("int8", 8, 0), ("int8/64", 8, 64), ("int4", 4, 0), ("int4/64", 4, 64), ("int4/32", 4, 32)];

fn main() {
    let pool = Pool::global();
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let rows: Vec<usize> = asked.iter().filter_map(|arg| arg.parse().ok()).collect();
    let rows = if rows.is_empty() { vec![1, 2, 4, 8, 16, 512] } else { rows };
    let wanted = |name: &str, all: &[&str]| {
        asked.iter().any(|arg| arg == name) || !all.iter().any(|name| asked.iter().any(|arg| arg == name))
    };
    let shapes: Vec<&str> = SHAPES.iter().map(|shape| shape.0).collect();
    let encodings: Vec<&str> = ENCODINGS.iter().map(|encoding| encoding.0).collect();
    let names: Vec<&str> = Instructions::ALL.iter().map(|i| i.name()).collect();
    println!("{} threads, {}", pool.threads(), Features::detect());
    for &(name, outputs, inputs) in SHAPES.iter().filter(|shape| wanted(shape.0, &shapes)) {
        for &(encoding, bits, group) in ENCODINGS.iter().filter(|encoding| wanted(encoding.0, &encodings)) {
            let weight = Weight::new(bits, outputs, inputs, inputs.checked_div(group).unwrap_or(1));
            for &rows in &rows {
                let shape = LinearShape { rows, inputs, outputs };
                let x = vec![bf16::from_f32(0.25); rows * inputs];
                let dense = dense_rate(pool, shape, &x);
                for (form, features) in forms().into_iter().filter(|form| wanted(form.0, &names)) {
                    // The same moment's bandwidth, as other machines share the memory.
                    let bandwidth = bandwidth(pool);
                    let seconds = weight.best(pool, features, shape, &x);
                    let bytes = weight.bytes() as f64 / seconds;
                    let operations = (2 * rows * outputs * inputs) as f64 / seconds;
                    println!(
                        "{name:14} {encoding:7} {rows:4} rows {form:11} {:8.3} ms {:5.1} GB/s = {:.2} of {:4.1}; \
                         {:5.0} GFLOP/s{}",
                        seconds * 1e3,
                        bytes / 1e9,
                        bytes / bandwidth,
                        bandwidth / 1e9,
                        operations / 1e9,
                        dense.map_or(String::new(), |dense| format!(
                            " = {:.2} of bf16's {:.0}",
                            operations / dense,
                            dense / 1e9
                        )),
                    );
                }
            }
        }
    }
}

/// Codes and scales, as many copies as no cache holds.
struct Weight {
    bits: usize,
    groups: usize,
    codes: Vec<Vec<u8>>,
    scales: Vec<bf16>,
}

/// Bytes of all copies together.
const COPIES_BYTES: usize = 448 << 20;

impl Weight {
    fn new(bits: usize, outputs: usize, inputs: usize, groups: usize) -> Self {
        let bytes = outputs * inputs * bits / 8;
        let copies = COPIES_BYTES.div_ceil(bytes);
        Self {
            bits,
            groups,
            codes: (0..copies).map(|_| vec![0x3d; bytes]).collect(),
            scales: vec![bf16::from_f32(0.5); outputs * groups],
        }
    }

    /// Bytes that a call reads.
    fn bytes(&self) -> usize {
        self.codes.first().map_or(0, Vec::len) + self.scales.len() * size_of::<bf16>()
    }

    /// Seconds of the fastest of some calls.
    fn best(&self, pool: &Pool, features: Features, shape: LinearShape, x: &[bf16]) -> f64 {
        let mut out = vec![bf16::ZERO; shape.rows * shape.outputs];
        let calls = if shape.rows > 64 { 4 } else { self.codes.len().max(12) };
        let mut best = f64::INFINITY;
        for codes in self.codes.iter().cycle().take(calls) {
            // SAFETY: bytes are bytes, signed or not.
            let signed = unsafe { std::slice::from_raw_parts(codes.as_ptr().cast::<i8>(), codes.len()) };
            let codes = if self.bits == 8 { Codes::Int8(signed) } else { Codes::Int4(codes) };
            let scales = Scales::Bf16(&self.scales);
            let weight = EncodedWeight { codes, scales, offsets: None, groups: self.groups };
            let started = Instant::now();
            let done = quantized_linear(pool, features, shape, x, weight, LinearResult::Bf16(&mut out));
            best = best.min(started.elapsed().as_secs_f64());
            assert!(done.is_ok());
        }
        best
    }
}

/// Operations a second of the layer in bf16, for many rows.
fn dense_rate(pool: &Pool, shape: LinearShape, x: &[bf16]) -> Option<f64> {
    let LinearShape { rows, inputs, outputs } = shape;
    if rows <= 64 {
        return None;
    }
    let weight = vec![bf16::from_f32(0.5); outputs * inputs];
    let mut out = vec![bf16::ZERO; rows * outputs];
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let started = Instant::now();
        let done = linear(pool, Features::detect(), shape, x, &weight, LinearResult::Bf16(&mut out));
        best = best.min(started.elapsed().as_secs_f64());
        assert!(done.is_ok());
    }
    Some((2 * rows * outputs * inputs) as f64 / best)
}
