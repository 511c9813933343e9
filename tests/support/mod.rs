//! What integration tests share: the CPU client and the goldens.

#![allow(dead_code)]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use lapidary::engine::Engine;
use lapidary::graph::DType;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::runtime::plugins::{self, Environment, PluginKind};
use lapidary::runtime::{Client, ClientOptions, Plugin};
use safetensors::SafeTensors;

/// A client of the CPU plugin with one device; `None`, said aloud, where the plugin is missing outside CI.
pub fn cpu() -> Option<Client> {
    match plugins::find(&Environment::from_process(), PluginKind::Cpu, None) {
        Ok(located) => {
            let plugin = Plugin::load(&located.path).unwrap();
            Some(Client::create(&plugin, &ClientOptions::new().cpu_device_count(1)).unwrap())
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("CI needs the CPU plugin: {error}"),
        Err(error) => {
            eprintln!("SKIPPED: no CPU plugin ({error})");
            None
        }
    }
}

pub fn golden_dir(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(case)
}

pub fn load(client: &Client, dir: &Path, dtype: Option<DType>) -> Engine {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let device = &client.addressable_devices()[0];
    Engine::load(client, device, &checkpoint, dtype, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// A case's sequences and reference logits, and its greedy continuations.
pub struct Golden {
    pub sequences: Vec<Sequence>,
    pub greedy: Vec<Greedy>,
    pub meta: serde_json::Value,
}

pub struct Sequence {
    pub tokens: Vec<u32>,
    /// `[tokens, vocab]`, float64 rounded to f32.
    pub logits: Vec<f32>,
    pub nll: Vec<f32>,
    /// transformers' own bf16 run, where the case has one.
    pub logits_bf16: Option<Vec<f32>>,
}

pub struct Greedy {
    pub prompt: Vec<u32>,
    pub new_tokens: Vec<u32>,
}

impl Golden {
    pub fn open(case: &str) -> Self {
        let dir = golden_dir(case);
        let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let words = |name: &str| -> Option<Vec<[u8; 4]>> {
            let data = tensors.tensor(name).ok()?.data().to_vec();
            Some(data.chunks_exact(4).map(|word| word.try_into().unwrap()).collect())
        };
        let floats =
            |name: &str| Some(words(name)?.into_iter().map(f32::from_le_bytes).collect::<Vec<f32>>());
        let mut sequences = Vec::new();
        while let Some(tokens) = words(&format!("tokens.{}", sequences.len())) {
            let i = sequences.len();
            sequences.push(Sequence {
                tokens: tokens.into_iter().map(u32::from_le_bytes).collect(),
                logits: floats(&format!("logits.{i}")).unwrap(),
                nll: floats(&format!("nll.{i}")).unwrap(),
                logits_bf16: floats(&format!("logits_bf16.{i}")),
            });
        }
        let meta: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
        let ids = |value: &serde_json::Value| -> Vec<u32> {
            value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
        };
        let greedy = meta["greedy"].as_array().unwrap().iter();
        let greedy =
            greedy.map(|g| Greedy { prompt: ids(&g["prompt"]), new_tokens: ids(&g["new_tokens"]) }).collect();
        assert!(!sequences.is_empty());
        Self { sequences, greedy, meta }
    }
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
