//! Sharding rules other than the default ones, and meshes that nothing divides by, give one device's answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;
use std::ops::ControlFlow;

use lapidary::engine::{Engine, Placement};
use lapidary::lower::ShardingRules;
use lapidary::models::checkpoint::Checkpoint;
use support::{golden_dir, max_difference};

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
    Engine::load(placement, checkpoint, None, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Logits after each row's prompt, and after each of some tokens that follow. The first prompt fills slots on
/// every device of a cache that is split by slots, and is longer than local layers' windows.
fn steps(engine: &Engine) -> Vec<Vec<Vec<f32>>> {
    let prompts: Vec<Vec<u32>> =
        [100u32, 1, 5].iter().map(|&length| (0..length).map(|i| 2 + i * 17 % 200).collect()).collect();
    let mut batch = engine.batch(prompts.len(), 110).unwrap();
    let mut steps = vec![batch.prefill(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()];
    for token in [3, 50] {
        steps.push(batch.decode(&[Some(token), Some(token + 1), Some(token + 2)]).unwrap());
    }
    steps
}

#[test]
fn every_way_to_split_answers_as_one_device() {
    let Some(client) = support::cpu_devices(DEVICES) else { return };
    let mut alone = HashMap::new();
    for (case, mesh, rules) in SPLITS {
        let checkpoint = Checkpoint::open(&golden_dir(case)).unwrap();
        let single = || steps(&load(&Placement::single(&client, &client.devices()[0]), &checkpoint));
        let expected = alone.entry(case).or_insert_with(single);
        let rules = ShardingRules::from_toml(&format!("[rules]\n{rules}")).unwrap();
        let placement = Placement::new(&client, mesh.parse().unwrap(), rules).unwrap();
        let ours = steps(&load(&placement, &checkpoint));
        let pairs = expected.iter().flatten().zip(ours.iter().flatten());
        let worst = pairs.map(|(a, b)| max_difference(a, b)).fold(0.0, f32::max);
        println!("{case} {mesh}: max |logit difference| = {worst:.1e}");
        assert!(worst <= TOLERANCE, "{case} {mesh}: {worst}");
    }
}
