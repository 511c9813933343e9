//! What integration tests share: the CPU client and the goldens.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code, unused_imports)]

mod golden;
pub(crate) mod plugin;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use lapidary::engine::cache::{ExecutableCache, ExecutableStore};
use lapidary::engine::{Engine, Numerics, Placement};
use lapidary::graph::DType;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::{Architecture, GemmaConfig};
use lapidary::models::dtype::StoredDtype;
use lapidary::models::synth::{SynthOptions, synth};
use lapidary::runtime::{Client, ClientOptions, Plugin};
use tempfile::TempDir;

pub use golden::{Golden, golden_dir};
pub(crate) use plugin::cpu_plugin;

/// A client of the CPU plugin with one device; `None`, said aloud, where the plugin is missing outside CI.
pub fn cpu() -> Option<Client> {
    cpu_devices(1)
}

/// A client of the CPU plugin with some virtual devices; `None`, said aloud, where the plugin is missing outside CI.
pub fn cpu_devices(count: usize) -> Option<Client> {
    let plugin = Plugin::load(plugin::cpu_plugin()?).unwrap();
    Some(Client::create(&plugin, &ClientOptions::new().cpu_device_count(count as i64)).unwrap())
}

pub fn load(client: &Client, dir: &Path, dtype: Option<DType>) -> Engine {
    let placement = Placement::single(client, &client.addressable_devices()[0]);
    engine(&placement, &Checkpoint::open(dir).unwrap(), dtype)
}

/// An engine whose programs are compiled once for all tests: many of them run the same.
pub fn engine(placement: &Placement, checkpoint: &Checkpoint, numerics: impl Into<Numerics>) -> Engine {
    let engine = Engine::load(placement, checkpoint, numerics, &mut |_| ControlFlow::Continue(())).unwrap();
    let store = ExecutableStore::new(env!("CARGO_TARGET_TMPDIR"), ExecutableStore::DEFAULT_MAX_BYTES);
    engine.with_cache(ExecutableCache::new(store, placement.client()))
}

/// A model of a golden checkpoint's sizes with random weights: one layer of each kind.
pub fn small(case: &str) -> (TempDir, Checkpoint) {
    let config = Checkpoint::open(&golden_dir(case)).unwrap().config().clone();
    let layers = match config.architecture {
        Architecture::Gemma1 => 1,
        Architecture::Gemma2 => 2,
    };
    random(&config.with_layers(layers).unwrap())
}

/// A model with random weights, in `model` in the directory.
pub fn random(config: &GemmaConfig) -> (TempDir, Checkpoint) {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    let options = SynthOptions { dtype: StoredDtype::F32, ..SynthOptions::default() };
    synth(config, &model, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let checkpoint = Checkpoint::open(&model).unwrap();
    (directory, checkpoint)
}

/// Logits of every position of every sequence, scored as one batch.
pub fn logits(engine: &Engine, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut logits: HashMap<usize, Vec<f32>> = HashMap::new();
    engine
        .score(
            sequences,
            Some(&mut |chunk| {
                let row = logits.entry(chunk.sequence).or_default();
                assert_eq!(row.len() % engine.config().live_vocab_size(), 0);
                assert_eq!(row.len() / engine.config().live_vocab_size(), chunk.position);
                row.extend_from_slice(chunk.logits);
                Ok(())
            }),
        )
        .unwrap();
    (0..sequences.len()).map(|i| logits.remove(&i).unwrap()).collect()
}

pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    difference.fold(0.0, |max, d| if d.is_nan() { f32::INFINITY } else { max.max(d) })
}

/// Negative log-likelihoods of a text, each by the tokens before it, scored at once and then decoded one by one: over
/// rings that have long wrapped.
pub fn likelihoods(engine: &Engine, tokens: &[u32]) -> Vec<f32> {
    let mut values = Vec::new();
    for score in engine.score(&[tokens.to_vec()], None).unwrap() {
        values.extend(score.nll);
    }
    let mut batch = engine.batch(1, tokens.len()).unwrap();
    batch.prefill(&[&tokens[..1]]).unwrap();
    for pair in tokens.windows(2) {
        let logits = batch.decode(&[Some(pair[0])]).unwrap().remove(0);
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let total: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
        values.push(top + total.ln() - logits[pair[1] as usize]);
    }
    values
}
