//! Weights in few bits through the compilers of TPUs and GPUs that are not here: what they make of feed-forward blocks and of
//! decode steps of 27B reads each weight once, in its bits. Nothing runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_cuda.rs"]
mod absent_cuda;
#[path = "support/command.rs"]
mod command;
#[path = "support/plugin.rs"]
mod plugin_file;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use command::lapidary_command;
use lapidary::bundle::{CompileRequest, NewBundle};
use lapidary::export::{Export, ExportRequest};
use lapidary::graph::nn::{self, EncodedWeight};
use lapidary::graph::{
    BuildError, DType, FunctionBuilder, FunctionResult, LogicalAxes, Module, TensorType, verify_program,
};
use lapidary::inspect::{self, InspectOptions, Inspection, inspect};
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, lower};
use lapidary::models::config::GemmaConfig;
use lapidary::models::encoding::{Encodings, WeightScheme};
use lapidary::models::program::{KvCache, Phase, ProgramShape};
use lapidary::runtime::plugins::{Environment, PluginKind, find};
use lapidary::target::TargetSpec;

const HIDDEN: usize = 4608;
const FFN: usize = 36864;
/// What libtpu needs where there is no TPU.
const NO_TPU: [(&str, &str); 5] = [
    ("TPU_SKIP_MDS_QUERY", "1"),
    ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ("TPU_ACCELERATOR_TYPE", "v5p-8"),
    ("TPU_WORKER_HOSTNAMES", "localhost"),
    ("TPU_WORKER_ID", "0"),
];

/// How a matrix is stored: in S8 with a scale for each output, or in S4 by groups of so many inputs.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Int8,
    Int4 { group: usize },
}

impl Encoding {
    /// Parameters of a matrix `[out, in]`.
    fn weight(self, b: &mut FunctionBuilder<'_>, dims: [usize; 2], axes: [&str; 2]) -> EncodedWeight {
        let mut part = |name, dtype, dims: &[usize], axes: &[&str]| {
            b.labelled_param(name, TensorType::new(dtype, dims), Some(LogicalAxes::of(axes)))
        };
        let [outputs, inputs] = dims;
        match self {
            Self::Int8 => EncodedWeight {
                codes: part("codes", DType::S8, &dims, &axes),
                scales: part("scales", DType::BF16, &[outputs, 1], &[axes[0], "_"]),
                offsets: None,
            },
            Self::Int4 { group } => {
                let groups = LogicalAxes::blocks(axes[1], group);
                let axes = [groups.as_str(), axes[0], "_"];
                EncodedWeight {
                    codes: part("codes", DType::S4, &[inputs / group, outputs, group], &axes),
                    scales: part("scales", DType::BF16, &[inputs / group, outputs], &axes[..2]),
                    offsets: None,
                }
            }
        }
    }

    fn bytes_per_code(self) -> f64 {
        match self {
            Self::Int8 => 1.0,
            Self::Int4 { .. } => 0.5,
        }
    }

    /// Feed-forward blocks, one after the other.
    fn feed_forward(self, rows: usize, blocks: usize) -> Result<Module, BuildError> {
        let mut module = Module::new("feed_forward");
        let mut b = FunctionBuilder::new(&mut module, "main");
        let axes = Some(LogicalAxes::of(&["batch", "embed"]));
        let mut x = b.labelled_param("x", TensorType::new(DType::BF16, [rows, HIDDEN]), axes.clone());
        let parts = (0..blocks).map(|_| {
            let wide = ["ffn", "embed"];
            let (gate, up) =
                (self.weight(&mut b, [FFN, HIDDEN], wide), self.weight(&mut b, [FFN, HIDDEN], wide));
            (gate, up, self.weight(&mut b, [HIDDEN, FFN], ["embed", "ffn"]))
        });
        for (gate, up, down) in parts.collect::<Vec<_>>() {
            let gate = nn::linear(&mut b, x, gate, DType::BF16)?;
            let up = nn::linear(&mut b, x, up, DType::BF16)?;
            let gated = nn::geglu(&mut b, gate, up)?;
            let gated = b.sharding_constraint(gated, LogicalAxes::of(&["batch", "ffn"]))?;
            x = nn::linear(&mut b, gated, down, DType::BF16)?;
            x = b.sharding_constraint(x, LogicalAxes::of(&["batch", "embed"]))?;
        }
        b.finish_with(vec![FunctionResult { value: x, name: String::new(), axes }]);
        Ok(module)
    }
}

/// What the compiler of a target makes of a module.
fn compiled(module: &Module, target: &TargetSpec, mesh: &Mesh) -> Inspection {
    let rules = ShardingRules::transformer();
    let several = (mesh.num_devices() > 1).then_some(mesh);
    let lowering = LowerOptions { target: target.lowering(), mesh: several, rules: &rules };
    let text = lower(verify_program(module).unwrap(), &lowering).unwrap();

    // What a bundle is made of is an export of some model; the program in it is this one.
    let mut export = exported(&GemmaConfig::named("tiny").unwrap(), 1, target, mesh);
    export.files[0].1 = text;
    compiled_export(&export, target, mesh)
}

/// The decode step of a model for so many sequences, as a target takes it.
fn exported(config: &GemmaConfig, rows: usize, target: &TargetSpec, mesh: &Mesh) -> Export {
    let rules = ShardingRules::transformer();
    let request = ExportRequest {
        model: "some",
        config,
        dtype: DType::BF16,
        target: Some(target),
        mesh,
        rules: &rules,
        compiler_flags: &BTreeMap::new(),
    };
    let shape = ProgramShape {
        phase: Phase::Decode,
        batch: rows,
        tokens: 1,
        capacity: 128,
        dtype: DType::BF16,
        kv_cache: KvCache::Dense,
    };
    Export::new(&request, &[shape]).unwrap()
}

fn compiled_export(export: &Export, target: &TargetSpec, mesh: &Mesh) -> Inspection {
    let kind = target.plugin_kind();
    let worker = || -> Command {
        let mut command = lapidary_command();
        command.arg("compile-worker").envs(NO_TPU);
        command
    };
    let request = CompileRequest {
        export,
        target,
        mesh,
        plugin: &find(&Environment::from_process(), kind, None).unwrap(),
        time_limit: Duration::from_secs(600),
        worker: &worker,
    };
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    NewBundle::create(&bundle, false).unwrap().compile(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    let [program] = &inspect::find(&bundle).unwrap()[..] else { panic!("one program") };
    inspect(program, &InspectOptions { target: None, mesh: None, largest: 5 }).unwrap()
}

/// Fails if a program of so many rows moves more than `limit` times what its parameters are, or holds a matrix decoded.
fn check(encoding: Encoding, rows: usize, target: &str, mesh: &str, limit: f64) {
    const BLOCKS: usize = 2;
    let module = encoding.feed_forward(rows, BLOCKS).unwrap();
    let (target, mesh): (TargetSpec, Mesh) = (target.parse().unwrap(), mesh.parse().unwrap());
    let found = compiled(&module, &target, &mesh);
    let matrix = (HIDDEN * FFN / mesh.num_devices()) as f64;
    let weights = matrix * (3 * BLOCKS) as f64 * encoding.bytes_per_code();
    let traffic = &found.traffic;
    println!(
        "{encoding:?}, {rows} rows on {target}: {traffic:?}, {:?}",
        found.estimate.map(|time| time.seconds)
    );
    let ideal = traffic.ideal_bytes as f64;
    assert!(ideal > weights && ideal < 1.05 * weights, "parameters are {ideal} bytes, codes {weights}");
    assert!(traffic.ratio.unwrap() <= limit, "{encoding:?}, {rows} rows on {target}: {traffic:?}");
    // A decoded matrix would have two bytes an element.
    let largest = found.temporaries.first().map_or(0, |temporary| temporary.bytes);
    assert!((largest as f64) < matrix / 2.0, "{encoding:?} on {target}: {:?}", found.temporaries);
}

const INT4: Encoding = Encoding::Int4 { group: 128 };

/// Fails if a decode step of two layers of 27B moves more than `limit` times what its parameters are.
fn check_model(weights: &str, rows: usize, target: &str, mesh: &str, limit: f64) {
    let mut config = GemmaConfig::named("gemma2-27b").unwrap().with_layers(2).unwrap();
    config.vocab_size = 4096;
    config.encodings = Encodings::uniform(&config, weights.parse::<WeightScheme>().unwrap()).unwrap();
    let (device, mesh): (TargetSpec, Mesh) = (target.parse().unwrap(), mesh.parse().unwrap());
    let found = compiled_export(&exported(&config, rows, &device, &mesh), &device, &mesh);
    println!("27B, {weights}, {rows} rows on {target}: {:?}", found.traffic);
    assert!(found.traffic.ratio.unwrap() <= limit, "{weights}, {rows} rows on {target}: {:?}", found.traffic);
}

#[test]
fn tpus_read_weights_once_in_their_bits() {
    if plugin_file::plugin(PluginKind::Tpu).is_none() {
        return;
    }
    for encoding in [Encoding::Int8, INT4] {
        check(encoding, 16, "tpu:v5p:2x2x1", "model=4", 1.05);
    }
    check_model("int4:64", 16, "tpu:v5p:2x2x1", "model=4", 1.12);
}

#[test]
fn gpus_read_weights_once_in_their_bits() {
    if !absent_cuda::can_compile() {
        return;
    }
    for target in ["cuda:h100", "cuda:a100-80gb"] {
        check(Encoding::Int8, 16, target, "model=1", 1.05);
        // Weights are read once here too; sums over groups go through memory.
        check(INT4, 1, target, "model=1", 1.15);
        check(INT4, 16, target, "model=1", 2.05);
    }
    check_model("int8", 16, "cuda:h100", "model=1", 1.1);
    check_model("int4:64", 1, "cuda:h100", "model=1", 1.25);
}
