//! Programs that take weights by groups, as those for TPUs and GPUs do, run on the CPU: what loading makes of a file's codes
//! and scales gives the answers that the file's own arrangement gives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/encoded_models.rs"]
mod encoded_models;
mod support;

use encoded_models::{TOLERANCE, configs, encoded, load, sequences, single, worst};
use lapidary::engine::{Engine, Kernels, Placement};
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::encoding::Arrangement;
use support::{Golden, cpu, cpu_devices, golden_dir, logits, max_difference};

fn by_groups(placement: &Placement, checkpoint: &Checkpoint, dtype: DType) -> Engine {
    load(&placement.clone().with_arrangement(Arrangement::Groups), checkpoint, dtype)
}

fn bytes(engine: &Engine) -> (u64, u64) {
    let [stats] = engine.load_stats() else { panic!("one device") };
    (stats.bytes, stats.converted_bytes)
}

#[test]
fn f32_answers_are_those_of_the_file_s_arrangement() {
    let Some(client) = cpu() else { return };
    let [gemma2, gemma1] = configs();
    for (config, scheme, scales) in [
        (&gemma2, "int4:32", StoredDtype::Bf16),
        (&gemma1, "int8:16", StoredDtype::F32),
        (&gemma1, "int8", StoredDtype::F16),
    ] {
        let (_directory, checkpoint) = encoded(config, scheme, scales);
        let placement = single(&client, Kernels::AUTO);
        let rows = load(&placement, &checkpoint, DType::F32);
        let engine = by_groups(&placement, &checkpoint, DType::F32);
        // As many bytes, of which most have moved, unless there is a scale for each output.
        let ((found, moved), (expected, converted)) = (bytes(&engine), bytes(&rows));
        assert_eq!(found, expected, "{scheme}");
        assert_eq!(moved > converted, scheme != "int8", "{scheme}: {moved} of {found} bytes");
        if scheme != "int8" {
            let worst = worst(&engine, &rows);
            println!("{:?} {scheme}: {worst:.1e}", config.architecture);
            assert!(worst <= TOLERANCE, "{:?} {scheme}: {worst}", config.architecture);
        }
    }
}

/// Every type of GGUF, the embedding's included, against a float64 reference.
#[test]
fn blocks_of_ggml_give_the_answers_of_the_decoded_weights() {
    let Some(client) = cpu() else { return };
    const CASE: &str = "gguf-mixed";
    let golden = Golden::open(CASE);
    let checkpoint = Checkpoint::open(&golden_dir(CASE).join("model.gguf")).unwrap();
    let engine = by_groups(&single(&client, Kernels::AUTO), &checkpoint, DType::F32);
    let sequences: Vec<_> = golden.sequences.iter().map(|sequence| sequence.tokens.clone()).collect();
    for (sequence, logits) in golden.sequences.iter().zip(logits(&engine, &sequences)) {
        let worst = max_difference(&sequence.logits, &logits);
        assert!(worst <= TOLERANCE, "{worst}");
    }
}

#[test]
fn bf16_is_as_far_from_f32_as_row_by_row() {
    let Some(client) = cpu() else { return };
    for config in configs() {
        let (_directory, checkpoint) = encoded(&config, "int4:32", StoredDtype::Bf16);
        let placement = single(&client, Kernels::OFF);
        let exact = logits(&load(&placement, &checkpoint, DType::F32), &sequences()).concat();
        let error = |engine: &Engine| {
            let found = logits(engine, &sequences()).concat();
            let squares: f32 = found.iter().zip(&exact).map(|(found, exact)| (found - exact).powi(2)).sum();
            (squares / exact.len() as f32).sqrt()
        };
        let expected = error(&load(&placement, &checkpoint, DType::BF16));
        let found = error(&by_groups(&placement, &checkpoint, DType::BF16));
        println!("{:?}: {found:.4}, row by row {expected:.4}", config.architecture);
        assert!(expected > 0.0 && found <= 1.15 * expected, "{found} > {expected}");
    }
}

#[test]
fn shards_give_the_same_answers() {
    let Some(client) = cpu_devices(4) else { return };
    let [gemma2, gemma1] = configs();
    for (config, scheme, meshes) in [
        // Each device has whole groups; of one group of 64 and 192 inputs, each has a part.
        (gemma2.clone(), "int4:16", &["model=2", "model=4"][..]),
        (gemma1, "int8:32", &["data=2,model=2"]),
        (gemma2, "int4:64", &["model=4"]),
    ] {
        let (_directory, checkpoint) = encoded(&config, scheme, StoredDtype::Bf16);
        let rows = load(&single(&client, Kernels::OFF), &checkpoint, DType::F32);
        for mesh in meshes {
            let rules = ShardingRules::transformer();
            let placement = Placement::new(&client, mesh.parse().unwrap(), rules).unwrap();
            let engine = by_groups(&placement, &checkpoint, DType::F32);
            let worst = worst(&engine, &rows);
            println!("{:?} {scheme} {mesh}: {worst:.1e}", config.architecture);
            assert!(worst <= TOLERANCE, "{scheme} {mesh}: {worst}");
        }
    }
}
