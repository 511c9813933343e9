//! The composition alone: the plugin's choices against the host's, and draws against their distribution.

use lapidary::graph::nn::{self, SamplingRows};
use lapidary::graph::{
    DType, FunctionBuilder, FunctionResult, LogicalAxes, Module, TensorType, verify_program,
};
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, lower, target};
use lapidary::runtime::{Argument, Buffer, Client, CompileOptions, CompilerFlag, ElementType, Program};

use crate::cpu_devices;
use crate::sampling_reference::Choice;

/// Choices for `[rows, vocab]` logits, as a program whose vocabulary is split over `model`.
fn text(rows: usize, vocab: usize, mesh: &Mesh) -> String {
    let mut module = Module::new("sample");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let axes = |names: &[&str]| Some(LogicalAxes::of(names));
    let mut row = |name: &str, dtype| b.labelled_param(name, TensorType::new(dtype, [rows]), axes(&["_"]));
    let (temperature, top_k) = (row("temperature", DType::F32), row("top_k", DType::S32));
    let (top_p, min_p) = (row("top_p", DType::F32), row("min_p", DType::F32));
    let position = row("position", DType::S32);
    let seed = b.labelled_param("seed", TensorType::new(DType::U32, [rows, 2]), axes(&["_", "_"]));
    let logits =
        b.labelled_param("logits", TensorType::new(DType::F32, [rows, vocab]), axes(&["_", "vocab"]));
    let sampling = SamplingRows { temperature, top_k, top_p, min_p, seed, position };
    let value = nn::sample(&mut b, logits, &sampling).unwrap();
    b.finish_with(vec![FunctionResult { value, name: "token".to_string(), axes: axes(&["_"]) }]);
    let rules = ShardingRules::transformer();
    let mesh = (mesh.num_devices() > 1).then_some(mesh);
    let options = LowerOptions { target: &target::CPU, mesh, rules: &rules };
    lower(verify_program(&module).unwrap(), &options).unwrap()
}

/// What the plugin chooses, on the devices of `mesh`.
fn sample(client: &Client, mesh: &str, logits: &[Vec<f32>], choices: &[Choice]) -> Vec<usize> {
    let mesh: Mesh = mesh.parse().unwrap();
    let (rows, vocab, shards) = (logits.len(), logits[0].len(), mesh.num_devices());
    assert_eq!(vocab % shards, 0);
    let devices = &client.addressable_devices()[..shards];
    let ids = devices.iter().map(|device| device.id()).collect();
    let mut options = CompileOptions::new().device_assignment(vec![ids]);
    for (name, value) in target::CPU.compiler_flags {
        options = options.flag(*name, CompilerFlag::Bool(*value));
    }
    let executable = client.compile(&Program::stablehlo(&text(rows, vocab, &mesh)), &options).unwrap();
    let mut inputs: Vec<Vec<Buffer>> = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let upload =
            |bytes: &[u8], ty, dims: &[usize]| client.buffer_from_host(bytes, ty, dims, device).unwrap();
        let floats = |get: fn(&Choice) -> f32| {
            let values: Vec<f32> = choices.iter().map(get).collect();
            upload(bytemuck::cast_slice(&values), ElementType::F32, &[rows])
        };
        let ints = |get: fn(&Choice) -> i32| {
            let values: Vec<i32> = choices.iter().map(get).collect();
            upload(bytemuck::cast_slice(&values), ElementType::S32, &[rows])
        };
        let seeds: Vec<u8> = choices.iter().flat_map(|choice| choice.seed.to_le_bytes()).collect();
        let width = vocab / shards;
        let shard: Vec<f32> = logits.iter().flat_map(|row| row[index * width..][..width].to_vec()).collect();
        inputs.push(vec![
            floats(|c| c.temperature),
            ints(|c| c.top_k),
            floats(|c| c.top_p),
            floats(|c| c.min_p),
            ints(|c| c.position),
            upload(&seeds, ElementType::U32, &[rows, 2]),
            upload(bytemuck::cast_slice(&shard), ElementType::F32, &[rows, width]),
        ]);
    }
    let arguments = inputs.iter().map(|buffers| buffers.iter().map(Argument::from).collect()).collect();
    let results = executable.execute(arguments).unwrap().wait().unwrap();
    let tokens: Vec<i32> = results[0][0].to_vec().unwrap();
    tokens.into_iter().map(|token| token as usize).collect()
}

/// Numbers that look random (SplitMix64, Steele et al. 2014).
fn random(seed: u64) -> impl Iterator<Item = f32> {
    (1u64..).map(move |i| {
        let mut z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    })
}

#[test]
fn the_plugin_chooses_what_the_reference_does_on_one_device_and_on_four() {
    let Some(client) = cpu_devices(4) else { return };
    let mut choices = Vec::new();
    for temperature in [0.0, 0.8, 3.0] {
        for top_k in [0, 1, 40, 5000] {
            for top_p in [1.0, 0.9, 0.2, 1e-44] {
                for min_p in [0.0, 0.05] {
                    let number = choices.len() as u64;
                    let (seed, position) = (number << 33 | number, (number % 7) as i32);
                    choices.push(Choice { temperature, top_k, top_p, min_p, seed, position });
                }
            }
        }
    }
    // Rounded, so that many are equal, and some excluded; zeros of both signs.
    let row = |seed: u64| -> Vec<f32> {
        let mut row: Vec<f32> =
            random(seed).take(2048).map(|x| ((x * 12.0 - 8.0) * 16.0).round() / 16.0).collect();
        (row[5], row[1500], row[7], row[8]) = (f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0, -0.0);
        row
    };
    let logits: Vec<Vec<f32>> = (0..choices.len() as u64).map(|seed| row(seed % 9)).collect();
    for mesh in ["model=1", "model=4"] {
        let tokens = sample(&client, mesh, &logits, &choices);
        for ((row, choice), token) in logits.iter().zip(&choices).zip(tokens) {
            assert_eq!(token, choice.choose(row), "{mesh}: {choice:?}");
        }
    }
}

#[test]
fn many_draws_follow_the_distribution() {
    let Some(client) = cpu_devices(1) else { return };
    let p: [f64; 8] = [0.30, 0.02, 0.18, 0.25, 0.05, 0.10, 0.04, 0.06];
    let row: Vec<f32> = p.iter().map(|p| p.ln() as f32 - 2.0).collect();
    let rows = 40_000;
    let draw = Choice { temperature: 1.0, ..Choice::GREEDY };
    let choices: Vec<Choice> =
        (0..rows).map(|i| Choice { seed: i / 8, position: (i % 8) as i32, ..draw }).collect();
    let tokens = sample(&client, "model=1", &vec![row; rows as usize], &choices);
    let mut counts = [0.0; 8];
    tokens.into_iter().for_each(|token| counts[token] += 1.0);
    let terms = counts.iter().zip(p).map(|(count, p)| (count - p * rows as f64).powi(2) / (p * rows as f64));
    let statistic: f64 = terms.sum();
    // 99.9% of draws from the right distribution stay below: 7 degrees of freedom.
    assert!(statistic < 24.3, "{statistic}: {counts:?}");
}

#[test]
fn draws_from_a_large_flat_vocabulary_are_spread_over_it() {
    let Some(client) = cpu_devices(1) else { return };
    let (rows, vocab, buckets) = (256, 65_536, 16);
    let draw = Choice { temperature: 1.0, ..Choice::GREEDY };
    let choices: Vec<Choice> = (0..rows as u64).map(|seed| Choice { seed, ..draw }).collect();
    let tokens = sample(&client, "model=1", &vec![vec![0.5; vocab]; rows], &choices);
    let mut counts = vec![0.0; buckets];
    tokens.iter().for_each(|token| counts[token * buckets / vocab] += 1.0);
    let expected = rows as f64 / buckets as f64;
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    // 15 degrees of freedom, 99.9%.
    assert!(statistic < 37.7, "{statistic}: {counts:?}");
    let distinct: std::collections::HashSet<_> = tokens.iter().collect();
    assert!(distinct.len() > rows - 5, "{} tokens", distinct.len());
}
