//! A model over a mesh of virtual devices gives the answers that it gives on one device, and each device gets
//! only its shards of the weights.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/command.rs"]
mod command;
mod support;

use std::ops::ControlFlow;

use lapidary::engine::{Engine, GenerateOptions, LoadStats, Placement, Sampling};
use lapidary::graph::DType;
use lapidary::lower::{ShardingRules, entry_shardings};
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::program::{KvCache, ParamRole, Phase, ProgramShape, build};
use lapidary::runtime::Client;
use support::{Golden, golden_dir, logits, max_difference, small};

const DEVICES: usize = 8;

/// None of the models' heads, feed-forward sizes or vocabularies divides by all of these.
const MESHES: [&str; 6] = [
    "data=1,model=2",
    "data=2,model=1",
    "data=2,model=4",
    "data=1,model=8",
    "data=1,model=3",
    "data=4,model=2",
];
const TOLERANCE: f32 = 1e-4;

/// Five sequences of different lengths, one of them of one token and one beyond Gemma 2's window of 7.
fn sequences() -> Vec<Vec<u32>> {
    let sequence = |(row, length): (u32, u32)| (0..length).map(|i| 2 + (row * 31 + i * 17) % 200).collect();
    (0..).zip([14, 1, 5, 9, 2]).map(sequence).collect()
}

fn load(placement: &Placement, checkpoint: &Checkpoint) -> Engine {
    support::engine(placement, checkpoint, None)
}

fn on_mesh(client: &Client, mesh: &str) -> Placement {
    Placement::new(client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap()
}

/// New tokens of each prompt.
fn generate(engine: &Engine, prompts: &[Vec<u32>], sampling: Sampling) -> Vec<Vec<u32>> {
    let options =
        GenerateOptions { max_new_tokens: 8, sampling, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    let (generations, _) = engine.generate(prompts, None, &options, go_on).unwrap();
    generations.into_iter().map(|generation| generation.token_ids).collect()
}

/// What an engine makes of a batch.
struct Answers {
    /// Logits after each row's prompt, and after each of some tokens that follow.
    steps: Vec<Vec<Vec<f32>>>,
    /// Logits of every position of each row, as scoring computes them.
    scored: Vec<Vec<f32>>,
    greedy: Vec<Vec<u32>>,
    sampled: Vec<Vec<u32>>,
}

impl Answers {
    fn of(engine: &Engine, prompts: &[Vec<u32>]) -> Self {
        let mut batch = engine.batch(prompts.len(), 32).unwrap();
        let slices: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut steps = vec![batch.prefill(&slices).unwrap()];
        for token in [3, 50, 7] {
            // The last row of several takes no more part.
            let tokens = (0..prompts.len()).map(|row| (row < 4).then_some(token + row as u32));
            steps.push(batch.decode(&tokens.collect::<Vec<_>>()).unwrap());
        }
        let sampling = Sampling { temperature: 1.0, top_p: 0.95, seed: 7, ..Sampling::default() };
        let greedy = generate(engine, prompts, Sampling::default());
        let sampled = generate(engine, prompts, sampling);
        Self { steps, scored: logits(engine, prompts), greedy, sampled }
    }

    fn logits(&self) -> Vec<&Vec<f32>> {
        self.steps.iter().flatten().chain(&self.scored).collect()
    }

    fn assert_like(&self, expected: &Self, what: &str) {
        let (ours, theirs) = (self.logits(), expected.logits());
        assert_eq!(ours.len(), theirs.len());
        let pairs = ours.into_iter().zip(theirs);
        let worst = pairs.map(|(a, b)| max_difference(a, b)).fold(0.0, f32::max);
        println!("{what}: max |logit difference| = {worst:.1e}");
        assert!(worst <= TOLERANCE, "{what}: {worst}");
        assert_eq!(self.greedy, expected.greedy, "{what}: greedy");
        assert_eq!(self.sampled, expected.sampled, "{what}: sampled");
    }
}

fn every_mesh_answers_as_one_device(case: &str) {
    let Some(client) = support::cpu_devices(DEVICES) else { return };
    let (_directory, checkpoint) = small(case);
    let single = load(&Placement::single(&client, &client.devices()[0]), &checkpoint);
    let five = sequences();
    let one = &five[..1];
    let (alone, together) = (Answers::of(&single, one), Answers::of(&single, &five));
    assert_ne!(together.greedy, together.sampled, "sampling does something");
    for mesh in MESHES {
        let engine = load(&on_mesh(&client, mesh), &checkpoint);
        Answers::of(&engine, one).assert_like(&alone, &format!("{case} {mesh} batch 1"));
        Answers::of(&engine, &five).assert_like(&together, &format!("{case} {mesh} batch 5"));
    }
}

#[test]
fn gemma2_with_windows_answers_alike_on_every_mesh() {
    every_mesh_answers_as_one_device("gemma2-windowed");
}

#[test]
fn multi_query_gemma1_answers_alike_on_every_mesh() {
    every_mesh_answers_as_one_device("gemma1-mqa");
}

/// Programs of several devices meet in collectives; those of two batches must not wait for each other's devices.
#[test]
fn two_batches_at_a_time_share_the_devices() {
    let Some(client) = support::cpu_devices(DEVICES) else { return };
    let (_directory, checkpoint) = small("gemma1-mqa");
    let engine = load(&on_mesh(&client, "model=8"), &checkpoint);
    let prompts = sequences();
    let first = generate(&engine, &prompts[..1], Sampling::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(generate(&engine, &prompts[..1], Sampling::default()), first);
                }
            });
        }
    });
}

/// Shards that lie in one piece at a 64-byte boundary of the file are used there; all others are copied, and each
/// device holds what the shardings say.
#[test]
fn each_device_loads_its_shards_only() {
    let Some(client) = support::cpu_devices(DEVICES) else { return };
    let (_directory, checkpoint) = small("gemma2-windowed");
    let shape = ProgramShape {
        phase: Phase::Decode,
        batch: 2,
        tokens: 1,
        capacity: 128,
        dtype: DType::F32,
        kv_cache: KvCache::Dense,
    };
    let program = build(checkpoint.config(), &shape).unwrap();
    let main = program.module.function(program.module.entry().unwrap()).unwrap();
    for mesh in ["data=2,model=4", "model=3", "model=2"] {
        let placement = on_mesh(&client, mesh);
        let engine = load(&placement, &checkpoint);
        let shardings = entry_shardings(main, placement.mesh(), placement.rules()).params;
        for (device, stats) in engine.load_stats().iter().enumerate() {
            let mut expected = LoadStats::default();
            for (param, sharding) in program.signature.params.iter().zip(&shardings) {
                let ParamRole::Weight(spec) = &param.role else { continue };
                let (dims, ranges) = (sharding.shard_shape(), sharding.shard_ranges(device).unwrap());
                let bytes = 4 * dims.iter().product::<usize>() as u64;
                expected.bytes += bytes;
                // Matrices `[rows, columns]` and vectors: whole rows are in one piece.
                let row: usize = spec.dims[1..].iter().product();
                let in_one_piece = ranges.iter().map(|range| range.len()).eq(dims.iter().copied())
                    && dims[1..] == spec.dims[1..];
                let address =
                    checkpoint.tensor(&spec.name).unwrap().bytes()[4 * row * ranges[0].start..].as_ptr();
                if in_one_piece && address.addr().is_multiple_of(64) {
                    expected.in_place_bytes += bytes;
                }
            }
            assert_eq!(*stats, expected, "{mesh} device {device}");
            assert!(stats.in_place_bytes > 0 && stats.bytes < checkpoint.byte_count());
        }
    }
}

/// A shard that is cut out of the rows of a file and converted on the way.
#[test]
fn shards_are_converted_one_by_one() {
    let Some(client) = support::cpu_devices(2) else { return };
    let golden = Golden::open("gemma1-f16");
    let checkpoint = Checkpoint::open(&golden_dir("gemma1-f16")).unwrap();
    let engine = load(&on_mesh(&client, "model=2"), &checkpoint);
    for stats in engine.load_stats() {
        assert_eq!((stats.converted_bytes, stats.in_place_bytes), (stats.bytes, 0));
    }
    let sequences: Vec<Vec<u32>> = golden.sequences.iter().map(|sequence| sequence.tokens.clone()).collect();
    for (ours, reference) in logits(&engine, &sequences).iter().zip(&golden.sequences) {
        assert!(max_difference(ours, &reference.logits) <= TOLERANCE);
    }
}

#[test]
fn the_command_runs_on_a_mesh() {
    let (directory, _) = small("gemma1-mqa");
    let folder = directory.path();
    std::fs::write(folder.join("ids.json"), serde_json::to_vec(&sequences()).unwrap()).unwrap();
    std::fs::write(folder.join("rules.toml"), "[rules]\nvocab = []\nbatch = [\"data\", \"model\"]").unwrap();
    let Some(plugin) = support::cpu_plugin() else { return };
    let generate = |flags: &[&str]| {
        let mut command = command::lapidary_command();
        command.current_dir(folder).env("LAPIDARY_PLUGIN_CPU", &plugin);
        command.args([
            "generate",
            "--model",
            "model",
            "--device",
            "cpu",
            "--token-ids",
            "ids.json",
            "--json",
        ]);
        command.args(["-n", "6", "--ignore-eos"]).args(flags);
        let output = command.output().unwrap();
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{flags:?}: {messages}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (report["generations"].clone(), messages)
    };
    let (alone, messages) = generate(&[]);
    assert_eq!(alone.as_array().unwrap().len(), 5);
    assert!(!messages.contains("whole"), "{messages}");
    let (generations, messages) = generate(&["--mesh", "data=2,model=4", "--virtual-devices", "8"]);
    assert_eq!(generations, alone);
    assert!(messages.contains("`kv_heads` is whole over `model`: 1 is not divisible by 4"), "{messages}");
    let flags = ["--mesh", "data=2,model=2", "--rules", "rules.toml", "--show-sharding"];
    let (generations, messages) = generate(&flags);
    assert_eq!(generations, alone);
    for part in ["\nweight ", "[cache_batch:data+model, kv_heads, cache, head_dim]", "on each of 4 devices"] {
        assert!(messages.contains(part), "no `{part}` in {messages}");
    }
}

#[test]
fn a_mesh_must_fit_the_devices() {
    let Some(client) = support::cpu_devices(2) else { return };
    let place = |mesh: &str| {
        Placement::new(&client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap_err().to_string()
    };
    let message = place("data=2,model=4");
    for part in ["`data=2,model=4` takes 8 devices", "there are 2", "make its axes' product 2 or less"] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
    assert!(place("tensor=2").contains("mesh axis `tensor`"));
}
