//! Programs that the TPU compiler (libtpu 0.0.52) made for four chips of a v5p (`v5p:2x2x1`).

use lapidary_hlo::{CollectiveKind, MemorySpaces, Module, Report, Shape};

use crate::mesh;

/// `gemma2-27b` with one layer, bf16, `model=4`: one token for each of 16 rows, a cache of 4096.
const DECODE: &str = include_str!("../goldens/gemma2_27b_one_layer_decode.v5p.hlo.txt");
/// Six times tanh(x . w), all-reduced and permuted; then an all-gather and a reduce-scatter. `data=2,model=2`.
const LOOP: &str = include_str!("../goldens/loop_of_collectives.v5p.hlo.txt");
const LOOP_PROTO: &[u8] = include_bytes!("../goldens/loop_of_collectives.v5p.hlo.pb");

/// Bytes of the parameters whose names begin so.
fn parameter_bytes(report: &Report, prefix: &str) -> u64 {
    report.parameters.iter().filter(|p| p.name.starts_with(prefix)).map(|p| p.bytes).sum()
}

#[test]
fn decoding_reads_weights_and_cache_once() {
    let module = Module::from_text(DECODE).unwrap();
    assert!(module.is_scheduled);
    assert_eq!(module.aliases.len(), 2);
    let report = Report::of(&module, &mesh(&[("model", 4)]));

    let weights = parameter_bytes(&report, "model.");
    let cache = parameter_bytes(&report, "cache.");
    // A quarter of: attention 2 x (4096 + 2048) x 4608, MLP 3 x 36864 x 4608, embedding 256000 x 4608; and 5 norms,
    // which tiles of 1024 pad.
    assert_eq!(weights, 2 * (4608 * (2 * (4096 + 2048) + 3 * 36864 + 256_000) / 4 + 5 * 5120));
    assert_eq!(cache, 2 * 2 * 16 * 4 * 4096 * 128);
    let donated: Vec<_> =
        report.parameters.iter().filter(|p| p.is_donated).map(|p| p.name.as_str()).collect();
    assert_eq!(donated, ["cache.0.keys", "cache.0.values"]);
    assert_eq!(report.parameters[0].shape, "s32[16,1]");
    let ratio = report.traffic.bytes() as f64 / (weights + cache) as f64;
    assert!((1.0..1.05).contains(&ratio), "{ratio}");
    assert_eq!((report.traffic.read, report.traffic.written), (1_014_213_632, 10_097_152));

    // Weights and cache, group by group, and little else (of attention also the scores, in f32).
    let read = |group: &str| report.group(group).unwrap().traffic.read;
    let at_least = [
        ("lm_head", 2 * 64_000 * 4608),
        ("layers.*.mlp", 2 * 3 * 9216 * 4608),
        ("layers.*.attn", 2 * 4608 * (2 * 1024 + 2 * 512) + cache),
    ];
    for (group, bytes) in at_least {
        assert!((bytes..bytes + bytes / 25).contains(&read(group)), "{group}: {} of {bytes}", read(group));
    }
    // libtpu says 4,571,136 for all temporaries, the gaps between them included.
    assert_eq!(report.temporary_peak_bytes, 4_247_552);
    assert_eq!((report.unknown_loops.len(), report.opaque_calls.len()), (0, 0));
    assert!(report.group("unattributed").is_none());
}

#[test]
fn decoding_computes_what_the_model_says() {
    let report = Report::of(&Module::from_text(DECODE).unwrap(), &mesh(&[("model", 4)]));
    let projections = 4608 * (2 * 1024 + 2 * 512 + 3 * 9216 + 64_000);
    // Scores and values: 8 query heads of 128 over all 4096 slots.
    let attention = 2 * 8 * 128 * 4096;
    assert_eq!(report.flops.dot, 2 * 16 * (projections + attention));
}

#[test]
fn decoding_reduces_once_for_each_branch() {
    let report = Report::of(&Module::from_text(DECODE).unwrap(), &mesh(&[("model", 4)]));
    let found: Vec<_> =
        report.collectives.iter().map(|c| (c.kind, c.path.as_deref().unwrap(), c.bytes)).collect();
    let bytes = 16 * 4608 * 2;
    let expected = ["embed_tokens", "layers.0.self_attn.o_proj", "layers.0.mlp.down_proj"];
    assert_eq!(found, expected.map(|path| (CollectiveKind::AllReduce, path, bytes)));
    for collective in &report.collectives {
        assert_eq!(collective.axes.as_deref(), Some(["model".to_string()].as_slice()));
        assert_eq!((collective.asynchronous, collective.sent_bytes), (false, bytes * 3 / 2));
    }
}

#[test]
fn decoding_updates_the_cache_in_place() {
    let report = Report::of(&Module::from_text(DECODE).unwrap(), &mesh(&[("model", 4)]));
    let scatters = report.by_operation.iter().find(|share| share.name == "fusion(scatter)").unwrap();
    assert_eq!((scatters.times, scatters.traffic.written), (2, 2 * 16 * 4 * 128 * 2));
    let [logits, scores, ..] = report.temporaries.as_slice() else { panic!("{:?}", report.temporaries) };
    assert_eq!(
        (logits.path.as_deref(), logits.is_result, logits.bytes),
        (Some("lm_head"), true, 16 * 64_000 * 4)
    );
    assert_eq!((scores.path.as_deref(), scores.is_result), (Some("layers.0.self_attn.attention"), false));
}

#[test]
fn a_loop_of_collectives() {
    let report = Report::of(&Module::from_text(LOOP).unwrap(), &mesh(&[("data", 2), ("model", 2)]));
    assert!(report.unknown_loops.is_empty());
    let matrix = 512 * 512 * 2;
    let found: Vec<_> = report
        .collectives
        .iter()
        .map(|c| (c.kind.name(), c.times, c.bytes, c.axes.as_ref().unwrap().join(","), c.asynchronous))
        .collect();
    let expected = [
        ("all-reduce", 6, matrix, "model".to_string(), false),
        ("collective-permute", 6, matrix, "data".to_string(), true),
        ("reduce-scatter", 1, matrix, "model".to_string(), false),
        ("all-gather", 1, 2 * matrix, "data".to_string(), false),
    ];
    assert_eq!(found, expected);
    assert_eq!(report.flops.dot, 6 * 2 * 512 * 512 * 512);
    // The product reads x and one of six matrices (and the scalar that says which, 512 bytes with its tile).
    let product = crate::instruction(&report, "fusion.13");
    assert_eq!((product.times, product.traffic.read, product.traffic.written), (6, 2 * matrix + 512, matrix));
}

#[test]
fn text_and_protocol_buffer_are_the_same_program() {
    let from_text = Module::from_text(LOOP).unwrap();
    assert_eq!(from_text, Module::from_proto(LOOP_PROTO).unwrap());
    // As PJRT's `hlo_with_config` holds it: field 1, a length in base 128, the module.
    let length = LOOP_PROTO.len();
    let mut with_config = vec![0x0a, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    assert!(length < 1 << 14);
    with_config.extend(LOOP_PROTO);
    assert_eq!(from_text, Module::from_proto_with_config(&with_config).unwrap());
    for bytes in [LOOP.as_bytes(), LOOP_PROTO, &with_config] {
        assert_eq!(from_text, Module::from_bytes(bytes).unwrap());
    }
}

#[test]
fn reports_are_plain_data() {
    let report = Report::of(&Module::from_text(LOOP).unwrap(), &mesh(&[("data", 2), ("model", 2)]));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["collectives"][0]["kind"], "all-reduce");
    assert_eq!(json["flops"]["dot"], 6 * 2 * 512 * 512 * 512_u64);
    assert_eq!(json["traffic"]["read"], report.traffic.read);
}

#[test]
fn memory_spaces_are_those_of_a_tpu_unless_said() {
    let mut options = mesh(&[("model", 4)]);
    let module = Module::from_text(DECODE).unwrap();
    let on_tpu = Report::of(&module, &options).traffic.bytes();
    options.memory_spaces = MemorySpaces::Uniform;
    assert!(Report::of(&module, &options).traffic.bytes() > on_tpu);
    assert!(matches!(module.entry().root().shape, Shape::Tuple(_)));
}
