//! Random weights that devices make up: the same on any mesh, and as large as those of a synthetic checkpoint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ops::ControlFlow;

use lapidary::engine::cache::ExecutableCache;
use lapidary::engine::{Engine, Kernels, Placement};
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::models::config::GemmaConfig;
use lapidary::models::encoding::{Encodings, WeightScheme};
use lapidary::runtime::Client;
use support::{logits, max_difference};

const TOLERANCE: f32 = 1e-4;
const SCHEMES: [&str; 3] = ["bf16", "int8", "int4:32"];

fn config(scheme: &str) -> GemmaConfig {
    let mut config = GemmaConfig::tiny();
    config.encodings = Encodings::uniform(&config, scheme.parse::<WeightScheme>().unwrap()).unwrap();
    config
}

fn random(placement: &Placement, config: &GemmaConfig) -> Engine {
    let cache = ExecutableCache::off("a test");
    Engine::random(placement, config, DType::F32, cache, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn on_mesh(client: &Client, mesh: &str) -> Placement {
    let placed = Placement::new(client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap();
    placed.with_kernels(Kernels::OFF)
}

fn sequences(config: &GemmaConfig) -> Vec<Vec<u32>> {
    let token = |row: usize, at: usize| ((at * 131 + at * at * 7 + row * 57) % config.vocab_size) as u32;
    [23, 9].iter().enumerate().map(|(row, &length)| (0..length).map(|at| token(row, at)).collect()).collect()
}

#[test]
fn every_mesh_makes_the_same_weights() {
    let Some(client) = support::cpu_devices(4) else { return };
    for scheme in SCHEMES {
        let config = config(scheme);
        let sequences = sequences(&config);
        let alone = Placement::single(&client, &client.addressable_devices()[0]).with_kernels(Kernels::OFF);
        let alone = random(&alone, &config);
        let expected = logits(&alone, &sequences);
        // Split, held twice, and in parts of which the last are not whole.
        for mesh in ["data=2,model=2", "model=3"] {
            let engine = random(&on_mesh(&client, mesh), &config);
            let stats = engine.load_stats();
            assert!(stats.iter().all(|device| device.bytes < alone.load_stats()[0].bytes), "{scheme} {mesh}");
            for (found, expected) in logits(&engine, &sequences).iter().zip(&expected) {
                let worst = max_difference(found, expected);
                assert!(worst <= TOLERANCE, "{scheme} {mesh}: {worst}");
            }
        }
    }
}

#[test]
fn they_are_as_large_as_those_of_a_synthetic_checkpoint() {
    let Some(client) = support::cpu() else { return };
    let placement = Placement::single(&client, &client.addressable_devices()[0]);
    for scheme in SCHEMES {
        let config = config(scheme);
        let sequences = sequences(&config);
        let (_directory, checkpoint) = support::random(&config);
        let written = support::load(&client, checkpoint.path(), Some(DType::F32));
        let deviations = [written, random(&placement, &config)].map(|engine| {
            let bytes = engine.load_stats()[0].bytes;
            (bytes, deviation(&logits(&engine, &sequences).concat()))
        });
        let [(bytes_written, of_written), (bytes_made, of_made)] = deviations;
        let ratio = of_made / of_written;
        assert!((0.8..1.25).contains(&ratio), "{scheme}: {of_made} and {of_written}");
        // What is not encoded has the type that the model runs in, as loading gives it.
        assert_eq!(bytes_made, bytes_written, "{scheme}");
    }
}

/// Standard deviation.
fn deviation(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}
