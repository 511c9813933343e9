//! Sharding rules other than the default ones, meshes that nothing divides by, and KV heads that several devices
//! share give one device's answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;
use std::ops::ControlFlow;

use lapidary::engine::{Engine, GenerateOptions, Piece, Placement};
use lapidary::lower::ShardingRules;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::{AttentionKind, GemmaConfig};
use lapidary::models::dtype::StoredDtype;
use lapidary::models::synth::{SynthOptions, synth};
use lapidary::runtime::Client;
use support::{golden_dir, max_difference};
use tempfile::TempDir;

const DEVICES: usize = 8;
const TOLERANCE: f32 = 1e-4;

/// A golden checkpoint, a mesh, and rules that replace default ones.
const SPLITS: [(&str, &str, &str); 6] = [
    ("gemma1-mqa", "seq=2,model=2", ""),
    ("gemma1-mqa", "model=4", "cache = \"model\"\nseq = []"),
    ("gemma1-mqa", "data=2,model=4", "cache_batch = [\"data\", \"model\"]"),
    ("gemma2-windowed", "seq=3", ""),
    ("gemma2-windowed", "data=3,model=2", ""),
    ("gemma2-windowed", "model=6", ""),
];

fn load(placement: &Placement, checkpoint: &Checkpoint) -> Engine {
    support::engine(placement, checkpoint, None)
}

fn load_whole(client: &Client, checkpoint: &Checkpoint) -> Engine {
    load(&Placement::single(client, &client.devices()[0]), checkpoint)
}

/// What an engine makes of a batch of prompts.
struct Answers {
    /// Logits after each row's prompt, and after each of some tokens that follow.
    steps: Vec<Vec<Vec<f32>>>,
    greedy: Vec<Vec<u32>>,
}

impl Answers {
    /// The first prompt fills slots on every device of a cache that is split by slots, and is longer than local
    /// layers' windows.
    fn of(engine: &Engine) -> Self {
        let prompts: Vec<Vec<u32>> =
            [100u32, 1, 5].iter().map(|&length| (0..length).map(|i| 2 + i * 17 % 200).collect()).collect();
        let mut batch = engine.batch(prompts.len(), 110).unwrap();
        let mut steps = vec![batch.prefill(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()];
        for token in [3, 50] {
            steps.push(batch.decode(&[Some(token), Some(token + 1), Some(token + 2)]).unwrap());
        }
        let options = GenerateOptions { max_new_tokens: 8, ignore_eos: true, ..GenerateOptions::default() };
        let go_on = &mut |_: Piece<'_>| ControlFlow::Continue(());
        let (generations, _) = engine.generate(&prompts, None, &options, go_on).unwrap();
        Self { steps, greedy: generations.into_iter().map(|generation| generation.token_ids).collect() }
    }

    fn assert_like(&self, expected: &Self, what: &str) {
        let pairs = expected.steps.iter().flatten().zip(self.steps.iter().flatten());
        let worst = pairs.map(|(a, b)| max_difference(a, b)).fold(0.0, f32::max);
        println!("{what}: max |logit difference| = {worst:.1e}");
        assert!(worst <= TOLERANCE, "{what}: {worst}");
        assert_eq!(self.greedy, expected.greedy, "{what}: greedy");
    }
}

#[test]
fn every_way_to_split_answers_as_one_device() {
    let Some(client) = support::cpu_devices(DEVICES) else { return };
    let mut alone = HashMap::new();
    for (case, mesh, rules) in SPLITS {
        let checkpoint = Checkpoint::open(&golden_dir(case)).unwrap();
        let expected = alone.entry(case).or_insert_with(|| Answers::of(&load_whole(&client, &checkpoint)));
        let rules = ShardingRules::from_toml(&format!("[rules]\n{rules}")).unwrap();
        let placement = Placement::new(&client, mesh.parse().unwrap(), rules).unwrap();
        Answers::of(&load(&placement, &checkpoint)).assert_like(expected, &format!("{case} {mesh}"));
    }
}

/// Gemma 2 9B's 16 query heads and 8 KV heads, and little of anything else: a local and a global layer.
fn grouped_heads() -> (TempDir, Checkpoint) {
    const WINDOW: usize = 7;
    let mut config = GemmaConfig::named("gemma2-9b").unwrap().with_layers(2).unwrap();
    assert_eq!((config.num_heads, config.num_kv_heads), (16, 8));
    (config.hidden_size, config.intermediate_size, config.head_dim) = (64, 96, 8);
    (config.vocab_size, config.query_pre_attn_scalar) = (256, 8.0);
    config.sliding_window = Some(WINDOW);
    config.layer_kinds = vec![AttentionKind::Local { window: WINDOW }, AttentionKind::Global];
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    let options = SynthOptions { dtype: StoredDtype::F32, ..SynthOptions::default() };
    synth(&config, &model, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let checkpoint = Checkpoint::open(&model).unwrap();
    (directory, checkpoint)
}

/// A mesh, how the rows of `q_proj` and `k_proj` are split on it, and on how many devices each part of `k_proj` is.
const GROUPS: [(&str, &str, &str, usize); 2] = [
    // Two devices share each KV head, and each has a query head of its own.
    ("model=16", "[model, -]", "[model/8, -]", 2),
    // Three devices share each half of the heads, the only even split.
    ("model=6", "[model/2, -]", "[model/2, -]", 3),
];

#[test]
fn devices_that_share_kv_heads_answer_as_one() {
    let Some(client) = support::cpu_devices(16) else { return };
    let (_directory, checkpoint) = grouped_heads();
    let expected = Answers::of(&load_whole(&client, &checkpoint));
    for (mesh, queries, keys, copies) in GROUPS {
        let placement = Placement::new(&client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap();
        let engine = load(&placement, &checkpoint);
        let report = engine.sharding_report().unwrap();
        let of = |name: &str| report.params.iter().find(|param| param.name.contains(name)).unwrap();
        assert_eq!(of("layers.0.self_attn.q_proj").sharding, queries, "{mesh}");
        let k_proj = of("layers.0.self_attn.k_proj");
        assert_eq!((k_proj.sharding.as_str(), k_proj.copies), (keys, copies), "{mesh}");
        Answers::of(&engine).assert_like(&expected, &format!("16 and 8 heads, {mesh}"));
    }
}
