//! Attention beside its limit: the bandwidth at which its cache is read for one query a sequence, the products of the
//! processor for many.
//!
//! `cargo bench -p lapidary-kernels --bench attention`, or only some: `-- gemma2-2b avx2 8192` (models, forms, slots).
//! With `-- --splice docs/kernels.md` the table there is written anew.

mod common;

use common::limits::Limits;
use common::models::{MODELS, Model};
use common::options::Options;
use common::table::{Table, count};
use common::timing::{Work, best_of};
use half::bf16;
use lapidary_kernels::{
    AttentionNumbers, AttentionOperands, AttentionShape, Features, KeyValues, Pool, attention,
};

/// Queries of a sequence: the last tokens of full caches.
const QUERIES: [usize; 2] = [1, 512];

/// Bytes that copies of a cache have together, so that no cache of the processor holds one from one call to the next.
const COPIES_BYTES: usize = 768 << 20;

fn main() {
    let options = Options::of_arguments();
    let (pool, best) = (Pool::global(), Features::detect());
    let mut limits = Limits::measure(pool);
    let memory = vec![bf16::from_f32(0.5); COPIES_BYTES / size_of::<bf16>()];
    let slots = options.numbers_or(&[512, 8192]);
    let cases = QUERIES.iter().flat_map(|&queries| slots.iter().map(move |&slots| (queries, slots)));
    let cases: Vec<(usize, usize)> = cases.filter(|(queries, slots)| queries <= slots).collect();
    let columns =
        cases.iter().map(|(queries, slots)| format!("{} over {slots}", count(*queries, "query", "queries")));
    let mut table = Table::new("model", columns);
    let names = MODELS.map(|model| model.name);
    for model in MODELS.iter().filter(|model| options.wants(model.name, &names)) {
        let mut ratios = Vec::new();
        for &(queries, slots) in &cases {
            let mut ratio = None;
            for (form, features) in options.forms() {
                let (seconds, work) = measure(pool, features, model, (queries, slots), &memory);
                let what =
                    format!("{}, {} over {slots}, {form}", model.name, count(queries, "query", "queries"));
                let found = work.ratio(&mut limits, &what, seconds);
                ratio = ratio.or(Some(found).filter(|_| features == best));
            }
            ratios.push(ratio);
        }
        let Model { name, kv_heads, head_dim, .. } = model;
        table.row(format!("{name} [{kv_heads} x {}, {head_dim}]", model.group()), ratios);
    }
    println!("{}", limits.describe());
    if let Some(document) = &options.splice {
        table.splice(&limits.describe(), document, "attention");
    }
}

/// Seconds of attention over a full cache, and what there is to do.
fn measure(
    pool: &Pool,
    features: Features,
    model: &Model,
    (queries, slots): (usize, usize),
    memory: &[bf16],
) -> (f64, Work) {
    let (kv_heads, group, head_dim) = (model.kv_heads, model.group(), model.head_dim);
    let shape = AttentionShape { batch: 1, queries, kv_heads, group, slots, head_dim };
    let numbers = AttentionNumbers { scale: 0.0625, softcap: Some(50.0), window: None };
    let heads = kv_heads * group;
    let query = vec![bf16::from_f32(0.25); queries * heads * head_dim];
    let positions: Vec<i32> = ((slots - queries) as i32..slots as i32).collect();
    let slot_positions: Vec<i32> = (0..slots as i32).collect();
    let cache = kv_heads * slots * head_dim;
    let copies: Vec<(&[bf16], &[bf16])> =
        memory.chunks_exact(2 * cache).map(|both| both.split_at(cache)).collect();
    let mut out = vec![bf16::ZERO; query.len()];
    let seconds = best_of(copies.len(), |copy| {
        let (keys, values) = copies[copy];
        let operands = AttentionOperands {
            query: &query,
            positions: &positions,
            cache: KeyValues::Bf16 { keys, values },
            slot_positions: &slot_positions,
        };
        assert!(attention(pool, features, shape, numbers, operands, &mut out).is_ok());
    });
    // Each query sees its own position and all before it.
    let pairs: usize = positions.iter().map(|&position| position as usize + 1).sum();
    (seconds, Work { bytes: 2 * cache * size_of::<bf16>(), operations: 4 * pairs * heads * head_dim })
}
