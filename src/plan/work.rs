//! What a step has to do on each device, at least.

use lapidary_models::encoding::Arrangement;
use lapidary_models::program::{Phase, ProgramShape};
use lapidary_models::weights::WeightRole;
use serde::Serialize;

use super::activations::keys_seen;
use super::layout::{Layout, elements, product};

/// What each device has to do in a step, at least.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Work {
    /// Operations of the matrix products; a multiplication and an addition are two.
    pub flops: f64,
    /// Bytes of memory traffic: every weight and the whole KV cache, once.
    pub memory_bytes: u64,
    /// What devices have to exchange.
    pub collectives: Vec<Collective>,
}

/// Collectives of one kind and size.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Collective {
    /// `all-reduce`.
    pub kind: &'static str,
    /// What is summed.
    pub of: &'static str,
    /// Devices that sum it together.
    pub devices: usize,
    /// How many of them a step has.
    pub count: usize,
    /// Bytes of the value on each device.
    pub bytes: u64,
}

impl Collective {
    /// Bytes that each device sends in all of them. An all-reduce over a ring is a reduce-scatter and an
    /// all-gather, each of which sends `(n - 1) / n` of the value.
    pub fn sent_bytes(&self) -> f64 {
        let devices = self.devices as f64;
        2.0 * (devices - 1.0) / devices * self.bytes as f64 * self.count as f64
    }
}

impl Work {
    /// The work of a step of `shape`.
    pub(super) fn of(layout: &Layout<'_>, shape: &ProgramShape) -> Self {
        Self {
            flops: weight_flops(layout, shape) + attention_flops(layout, shape),
            memory_bytes: layout.weight_bytes().saturating_add(layout.cache_bytes(shape)),
            collectives: collectives(layout, shape),
        }
    }
}

/// `2 x rows x elements` for every matrix.
fn weight_flops(layout: &Layout<'_>, shape: &ProgramShape) -> f64 {
    let step = layout.step(shape);
    let rows = step.rows as f64;
    let matrices = layout.weights().filter(|(tensor, _)| tensor.weight.dims.len() == 2);
    let flops = matrices.map(|(tensor, sharding)| {
        let elements: f64 = elements(tensor, sharding).iter().map(|&size| size as f64).product();
        let tokens = match (tensor.weight.role, shape.phase) {
            // Logits after the last token only.
            (WeightRole::Embedding, phase) if !matches!(phase, Phase::Score { .. }) => 1.0,
            _ => step.tokens as f64,
        };
        2.0 * rows * tokens * elements
    });
    flops.sum()
}

/// `2 x tokens x keys x heads x head_dim` twice a layer: for the scores, and to mix the values by them. Keys that
/// are masked are computed all the same.
fn attention_flops(layout: &Layout<'_>, shape: &ProgramShape) -> f64 {
    let step = layout.step(shape);
    let [query_size, _] = layout.weight_shard(WeightRole::Query);
    let queries = step.rows as f64 * step.tokens as f64 * query_size as f64;
    let kinds = layout.config.layer_kinds.iter();
    kinds.map(|&kind| 4.0 * queries * keys_seen(layout, shape, kind) as f64).sum()
}

/// One all-reduce behind each matrix whose inner dimension is split, and one behind the embedding if its rows are:
/// every device has a partial sum, or zeros where another has the row. Where the slots of the cache are split, the
/// mixture of each part's values is summed, in f32.
fn collectives(layout: &Layout<'_>, shape: &ProgramShape) -> Vec<Collective> {
    let step = layout.step(shape);
    let width = shape.dtype.byte_width();
    let stream = product(&[step.rows, step.tokens, layout.config.hidden_size, width]);
    // Devices that a dimension of a weight `[out, in]` is split over.
    let split = |role: WeightRole, dim: usize| {
        let weight = layout.weights().find(|(tensor, _)| tensor.weight.role == role);
        weight.map_or(1, |(tensor, sharding)| {
            let dims: &[usize] = match (tensor.arrangement, dim) {
                (Arrangement::Rows, dim) => &[dim],
                (Arrangement::Groups, 0) => &[1],
                (Arrangement::Groups, _) => &[0, 2],
            };
            let dims = dims.iter().filter_map(|&dim| sharding.dims().get(dim));
            dims.map(|dim| dim.shards()).product()
        })
    };
    let layers = layout.config.num_layers;
    let streams = [
        ("embedding", split(WeightRole::Embedding, 0), 1),
        ("attention output", split(WeightRole::AttentionOutput, 1), layers),
        ("feed-forward output", split(WeightRole::Down, 1), layers),
    ];
    let mut collectives: Vec<Collective> = streams
        .into_iter()
        .map(|(of, devices, count)| Collective { kind: "all-reduce", of, devices, count, bytes: stream })
        .collect();
    let [query_size, _] = layout.weight_shard(WeightRole::Query);
    for &kind in &layout.config.layer_kinds {
        let Some(cache) = layout.cache(shape, kind) else { continue };
        let devices = cache.sharding.dims().get(2).map_or(1, |slots| slots.shards());
        let bytes = product(&[step.rows, shape.tokens, query_size, 4]);
        match collectives.iter_mut().find(|known| known.of == "attention" && known.devices == devices) {
            Some(known) => known.count += 1,
            None => {
                collectives.push(Collective {
                    kind: "all-reduce",
                    of: "attention",
                    devices,
                    count: 1,
                    bytes,
                });
            }
        }
    }
    collectives.retain(|collective| collective.devices > 1);
    collectives
}
