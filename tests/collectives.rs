//! What moves between devices: the collectives of the programs as plugins compile them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_tpu.rs"]
mod absent_tpu;
#[path = "support/plugin.rs"]
mod plugin_file;

use lapidary::graph::DType;
use lapidary::graph::verify::verify_program;
use lapidary::hlo::{Collective, CollectiveKind, Module, Report, ReportOptions};
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, Target, lower, target};
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::{KvCache, Phase, ProgramShape, build};
use lapidary::runtime::{Attributes, Client, ClientOptions, CompileOptions, Executable, Plugin, Program};

const LAYERS: usize = 2;
const CAPACITY: usize = 64;

/// Gemma 2 with 8 query heads, and so few elements that compiling is all that takes time.
fn tiny(kv_heads: usize) -> GemmaConfig {
    let mut config = GemmaConfig::named("gemma2-9b").unwrap().with_layers(LAYERS).unwrap();
    (config.hidden_size, config.intermediate_size) = (64, 128);
    (config.num_heads, config.num_kv_heads, config.head_dim) = (8, kv_heads, 16);
    config.vocab_size = 512;
    config
}

fn decode(batch: usize) -> ProgramShape {
    ProgramShape {
        phase: Phase::Decode,
        batch,
        tokens: 1,
        capacity: CAPACITY,
        dtype: DType::F32,
        kv_cache: KvCache::Dense,
    }
}

fn prefill(batch: usize) -> ProgramShape {
    ProgramShape {
        phase: Phase::Prefill,
        batch,
        tokens: 16,
        capacity: CAPACITY,
        dtype: DType::F32,
        kv_cache: KvCache::Dense,
    }
}

fn text(
    config: &GemmaConfig,
    shape: &ProgramShape,
    target: &Target,
    mesh: &Mesh,
    rules: &ShardingRules,
) -> String {
    let program = build(config, shape).unwrap();
    let options = LowerOptions { target, mesh: Some(mesh), rules };
    lower(verify_program(&program.module).unwrap(), &options).unwrap()
}

/// The CPU plugin's optimized program on virtual devices.
struct Cpu(Client);

impl Cpu {
    fn new() -> Option<Self> {
        let plugin = Plugin::load(plugin_file::cpu_plugin()?).unwrap();
        Some(Self(Client::create(&plugin, &ClientOptions::new().cpu_device_count(8)).unwrap()))
    }

    fn collectives(
        &self,
        config: &GemmaConfig,
        shape: &ProgramShape,
        mesh: &str,
        rules: &ShardingRules,
    ) -> Vec<Collective> {
        let mesh: Mesh = mesh.parse().unwrap();
        let text = text(config, shape, &target::CPU, &mesh, rules);
        let ids = self.0.devices().iter().take(mesh.num_devices()).map(|device| device.id()).collect();
        let options = CompileOptions::new().device_assignment(vec![ids]);
        let executable = self.0.compile(&Program::stablehlo(&text), &options).unwrap();
        collectives(&executable)
    }
}

fn collectives(executable: &Executable) -> Vec<Collective> {
    let program = executable.optimized_program().unwrap();
    let module = Module::from_bytes(&program.code).unwrap();
    Report::of(&module, &ReportOptions::default()).collectives
}

/// The model path that a collective came from.
fn path(collective: &Collective) -> &str {
    collective.path.as_deref().unwrap_or_default()
}

fn listed(collectives: &[Collective]) -> String {
    let line =
        |c: &Collective| format!("{} of {} bytes over {:?} at {}", c.kind, c.bytes, c.group_size, path(c));
    collectives.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One all-reduce for the embedding, one for each layer's attention and feed-forward, and nothing else: no
/// weight, no cache and no logits move.
#[track_caller]
fn assert_tensor_parallel(collectives: &[Collective], group_size: u64, context: &str) {
    let mut expected = vec!["embed_tokens".to_string()];
    for layer in 0..LAYERS {
        expected.push(format!("layers.{layer}.self_attn.o_proj"));
        expected.push(format!("layers.{layer}.mlp.down_proj"));
    }
    let listed = listed(collectives);
    assert_eq!(collectives.len(), expected.len(), "{context}:\n{listed}");
    for scope in expected {
        let found: Vec<&Collective> = collectives.iter().filter(|c| path(c) == scope).collect();
        let [all_reduce] = found[..] else { panic!("{context}: {scope} in\n{listed}") };
        assert_eq!(all_reduce.kind, CollectiveKind::AllReduce, "{context}:\n{listed}");
        assert_eq!(all_reduce.group_size, Some(group_size), "{context}:\n{listed}");
    }
}

#[test]
fn tensor_parallelism_takes_two_all_reduces_a_layer() {
    let Some(cpu) = Cpu::new() else { return };
    let rules = ShardingRules::transformer();
    // On eight devices, four KV heads are on two devices each.
    for (mesh, model) in [("model=4", 4), ("data=2,model=4", 4), ("model=8", 8)] {
        for shape in [decode(4), prefill(4)] {
            let collectives = cpu.collectives(&tiny(4), &shape, mesh, &rules);
            assert_tensor_parallel(&collectives, model, &format!("{shape} on {mesh}"));
        }
    }
}

#[test]
fn sizes_that_do_not_divide_take_no_more() {
    let Some(cpu) = Cpu::new() else { return };
    let rules = ShardingRules::transformer();
    // Multi-query: every device has the one KV head.
    assert_tensor_parallel(&cpu.collectives(&tiny(1), &decode(4), "model=8", &rules), 8, "multi-query");
    // One row on two data groups: both compute it.
    assert_tensor_parallel(&cpu.collectives(&tiny(4), &decode(1), "data=2,model=4", &rules), 4, "one row");
    // Heads do not divide by 3, so attention is computed by all three and reduces nothing; ffn and vocab are
    // padded.
    let collectives = cpu.collectives(&tiny(4), &decode(4), "model=3", &rules);
    let (attention, rest): (Vec<_>, Vec<_>) =
        collectives.into_iter().partition(|c| path(c).contains("self_attn"));
    assert!(attention.is_empty(), "{attention:?}");
    assert_eq!(rest.len(), 1 + LAYERS, "{rest:?}");
    // Five rows on two data groups are padded to six; the slots they go to, once for all layers, are all
    // that moves along `data`.
    let collectives = cpu.collectives(&tiny(4), &decode(5), "data=2", &rules);
    let [slots] = &collectives[..] else { panic!("{collectives:?}") };
    assert_eq!(
        (slots.kind, slots.bytes),
        (CollectiveKind::AllGather, 6 * size_of::<i32>() as u64),
        "{slots:?}"
    );
}

/// The only KV head of a multi-query model cannot be split, but its cache can, by slots or by rows: then what
/// moves is queries, sums and outputs of one step, and neither the cache nor a weight.
#[test]
fn a_multi_query_cache_may_be_split_by_slots_or_rows() {
    use CollectiveKind::{AllGather, AllReduce, AllToAll};
    let Some(cpu) = Cpu::new() else { return };
    let config = tiny(1);
    let layer = |collectives: &[Collective]| -> Vec<(CollectiveKind, u64)> {
        let attention = collectives.iter().filter(|c| path(c).starts_with("layers.0.self_attn"));
        attention.map(|c| (c.kind, c.bytes)).collect()
    };
    let f32 = size_of::<f32>() as u64;
    let (per_head, output, hidden) = (4 * 8 * f32, 4 * 8 * 16 * f32, 4 * 64 * f32);

    // The softmax's maximum, its sum, and the weighted values.
    let by_slots = cpu.collectives(&config, &decode(4), "seq=4", &ShardingRules::transformer());
    let softmax = [(AllReduce, per_head), (AllReduce, per_head), (AllReduce, output)];
    assert_eq!(layer(&by_slots), softmax);

    // Where the same axis splits the heads, queries are gathered first.
    let rules = ShardingRules::from_toml("[rules]\ncache = \"model\"").unwrap();
    let by_slots = cpu.collectives(&config, &decode(4), "model=4", &rules);
    let expected = [&[(AllGather, output)][..], &softmax, &[(AllReduce, hidden)]].concat();
    assert_eq!(layer(&by_slots), expected);

    // Queries go from heads to rows, and outputs from rows to heads.
    let rules = ShardingRules::from_toml("[rules]\ncache_batch = [\"data\", \"model\"]").unwrap();
    let by_rows = cpu.collectives(&config, &decode(8), "data=2,model=4", &rules);
    let to_rows = (AllToAll, output / 4);
    assert_eq!(layer(&by_rows), [to_rows, to_rows, (AllReduce, hidden)], "{by_rows:?}");
}

#[test]
fn tpus_move_no_more_than_that() {
    absent_tpu::run_in_child("compile_for_absent_tpus");
}

#[test]
#[ignore = "the child process of tpus_move_no_more_than_that"]
fn compile_for_absent_tpus() {
    let plugin = absent_tpu::plugin();
    let topology = absent_tpu::topology(&plugin, "v5p:2x2x1", &Attributes::new());
    let ids: Vec<i32> = topology.devices().iter().map(|device| device.id).collect();
    let mut config = tiny(4);
    (config.hidden_size, config.intermediate_size, config.head_dim) = (512, 2048, 128);
    let compile = |shape: ProgramShape, mesh: &str| {
        let shape = ProgramShape { dtype: DType::BF16, ..shape };
        let mesh: Mesh = mesh.parse().unwrap();
        let text = text(&config, &shape, &target::TPU, &mesh, &ShardingRules::transformer());
        let ids = ids[..mesh.num_devices()].to_vec();
        let options = CompileOptions::new().device_assignment(vec![ids]);
        let executable = topology.compile(&Program::stablehlo(&text), &options).unwrap();
        let collectives = collectives(&executable);
        println!("{shape} on {mesh}:\n{}", listed(&collectives));
        collectives
    };
    assert_tensor_parallel(&compile(decode(4), "model=4"), 4, "decode");
    assert_tensor_parallel(&compile(prefill(1), "model=4"), 4, "prefill");
    assert_tensor_parallel(&compile(decode(4), "data=2,model=2"), 2, "decode of two groups");
    let uneven = compile(decode(4), "model=3");
    assert_eq!(uneven.len(), 1 + LAYERS, "heads are whole, ffn and vocab padded: {uneven:?}");
}
