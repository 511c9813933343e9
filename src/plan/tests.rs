use lapidary_graph::{FuncId, Module, Op};
use lapidary_lower::entry_shardings;
use lapidary_models::program::{KvCache, ParamRole};

use super::*;

struct Asked {
    config: GemmaConfig,
    dtype: DType,
    target: TargetSpec,
    mesh: Option<Mesh>,
    rules: ShardingRules,
}

impl Asked {
    fn new(model: &str, target: &str, mesh: &str) -> Self {
        Self {
            config: GemmaConfig::named(model).unwrap(),
            dtype: DType::BF16,
            target: target.parse().unwrap(),
            mesh: Some(mesh).filter(|mesh| !mesh.is_empty()).map(|mesh| mesh.parse().unwrap()),
            rules: ShardingRules::transformer(),
        }
    }

    fn request(&self, batch: usize, context: usize) -> PlanRequest<'_> {
        PlanRequest {
            config: &self.config,
            dtype: self.dtype,
            kv_cache: KvCache::Dense,
            target: &self.target,
            mesh: self.mesh.as_ref(),
            rules: &self.rules,
            batch,
            context,
            prefill_batch: 1,
            prefill_tokens: None,
        }
    }

    fn plan(&self, batch: usize, context: usize) -> Plan {
        plan(&self.request(batch, context)).unwrap()
    }
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a / b - 1.0).abs() < tolerance
}

#[test]
fn the_published_model_on_one_v5p_host() {
    let asked = Asked::new("gemma2-27b", "tpu:v5p:2x2x1", "model=4");
    let plan = plan(&PlanRequest { prefill_tokens: Some(4096), ..asked.request(16, 4096) }).unwrap();
    let Memory { weights_bytes, kv_cache_bytes, activations_bytes, .. } = plan.memory;
    // 27.2 billion parameters in bf16 over four chips; norms are on each.
    assert!(close(weights_bytes as f64, 54.454e9 / 4.0, 1e-3), "{weights_bytes}");
    assert_eq!(kv_cache_bytes, 16 * 4096 * 376_832 / 4);
    assert!(activations_bytes < 3 << 30, "{activations_bytes}");
    assert_eq!(plan.fits, Some(true));

    let [decode, prefill] = &plan.phases[..] else { panic!("{plan:?}") };
    // The bound that compiled programs were measured against: 7.16 ms.
    let bound = decode.roofline.unwrap();
    assert!(close(bound.memory_s, 7.16e-3, 2e-3), "{bound:?}");
    assert_eq!((bound.bound, bound.step_s), (Bound::Memory, bound.memory_s));
    assert!(close(bound.tokens_per_s, 16.0 / 7.16e-3, 2e-3), "{bound:?}");
    // One all-reduce behind each branch and one behind the embedding, of [16, 1, 4608] bf16.
    let collectives = &decode.work.collectives;
    assert_eq!(collectives.iter().map(|collective| collective.count).sum::<usize>(), 93);
    assert!(
        collectives.iter().all(|each| (each.devices, each.bytes) == (4, 16 * 4608 * 2)),
        "{collectives:?}"
    );
    assert_eq!(decode.interconnect_bytes, 93 * 16 * 4608 * 2 * 3 / 2);
    // 56.5 TFLOP a chip for a prefill of 1 x 4096.
    assert!(close(prefill.work.flops, 56.5e12, 2e-3), "{}", prefill.work.flops);
    assert_eq!(prefill.roofline.unwrap().bound, Bound::Compute);
}

#[test]
fn local_layers_hold_only_their_window() {
    let asked = Asked::new("gemma2-27b", "tpu:v5p:2x2x1", "model=4");
    let short = asked.plan(1, 4096).memory;
    let long = asked.plan(1, 8192).memory;
    assert_eq!(short.kv_cache_saved_bytes, 0);
    // Half of the layers are local; each of them keeps 4096 of 8192 positions.
    assert_eq!(long.kv_cache_bytes, 376_832 * (8192 + 4096) / 2 / 4);
    assert_eq!(long.kv_cache_bytes + long.kv_cache_saved_bytes, 376_832 * 8192 / 4);
    let gemma1 = Asked::new("gemma-7b", "tpu:v5p:1x1x1", "").plan(1, 8192).memory;
    assert_eq!((gemma1.kv_cache_bytes, gemma1.kv_cache_saved_bytes), (458_752 * 8192, 0));
}

/// What is counted without building a program is what the program's own parameters come to.
#[test]
fn the_cache_is_that_of_the_program_at_every_size_and_mesh() {
    for (model, mesh, kv_cache) in [
        ("gemma2-27b", "data=2,model=4", KvCache::Dense),
        ("gemma2-27b", "data=2,model=4", KvCache::Int8),
        ("gemma2-2b", "model=8", KvCache::Int8),
        ("gemma-2b", "model=4,seq=2", KvCache::Dense),
        ("gemma-2b", "model=4,seq=2", KvCache::Int8),
    ] {
        let asked = Asked::new(model, "cpu", mesh);
        let (config, mesh) = (&asked.config, asked.mesh.as_ref().unwrap());
        let request = PlanRequest { kv_cache, ..asked.request(1, 16) };
        let sizes = Sizes::of(&request);
        let program = build(config, &sizes.decode).unwrap();
        let layout = Layout::new(&request, &program, mesh);
        for (batch, context) in [(1, 1), (3, 100), (16, 4096), (7, 5000), (2, 8192)] {
            let shape = sizes.with(batch, context).decode;
            let built = build(config, &shape).unwrap();
            let entry = built.module.function(built.module.entry().unwrap()).unwrap();
            let shardings = entry_shardings(entry, mesh, &asked.rules).params;
            let params = built.signature.params.iter().zip(&shardings);
            let bytes = |is: fn(&ParamRole) -> bool| -> usize {
                let params = params.clone().filter(|(param, _)| is(&param.role));
                params.map(|(param, sharding)| param.ty.with_dims(sharding.shard_shape()).byte_size()).sum()
            };
            let state = bytes(|role| matches!(role, ParamRole::State { .. }));
            assert_eq!(layout.cache_bytes(&shape), state as u64, "{model} {mesh} {shape}");
            let weights = bytes(|role| matches!(role, ParamRole::Weight(_)));
            assert_eq!(layout.weight_bytes(), weights as u64, "{model} {mesh}");
        }
    }
}

/// On one device, the operations are those of the program's own matrix products.
#[test]
fn flops_are_those_of_the_graph() {
    for (model, batch, tokens, context) in [
        ("gemma2-2b", 3, 1, 5000),
        ("gemma2-2b", 1, 512, 8192),
        ("gemma-7b", 2, 64, 100),
        ("gemma-2b", 5, 1, 7),
    ] {
        let asked = Asked::new(model, "cpu", "");
        let request = PlanRequest {
            prefill_batch: batch,
            prefill_tokens: Some(tokens),
            ..asked.request(batch, context)
        };
        let sizes = Sizes::of(&request);
        let mesh = Mesh::default();
        for shape in [sizes.decode, sizes.prefill] {
            let program = build(&asked.config, &shape).unwrap();
            let layout = Layout::new(&request, &program, &mesh);
            let counted = dot_flops(&program.module, program.module.entry().unwrap());
            assert_eq!(Work::of(&layout, &shape).flops, counted, "{shape}");
        }
    }
}

/// The temporaries of two layers of 27B that libtpu 0.0.52 compiled for four chips of a v5p.
#[test]
fn activations_are_close_to_what_a_compiler_allocates() {
    let mut asked = Asked::new("gemma2-27b", "tpu:v5p:2x2x1", "model=4");
    asked.config = asked.config.with_layers(2).unwrap();
    let (config, mesh) = (&asked.config, asked.mesh.as_ref().unwrap());
    for (batch, tokens, context, allocated) in
        [(1, 4096, 4096, 249_577_472), (1, 512, 8192, 288_702_464), (16, 512, 8192, 4_644_651_008_u64)]
    {
        let request =
            PlanRequest { prefill_batch: batch, prefill_tokens: Some(tokens), ..asked.request(1, context) };
        let program = build(config, &Sizes::of(&request).decode).unwrap();
        let layout = Layout::new(&request, &program, mesh);
        let estimate = activations::bytes(&layout, &Sizes::of(&request).prefill);
        assert!(close(estimate as f64, allocated as f64, 0.06), "{batch} x {tokens}: {estimate}");
    }
}

/// Operations of the matrix products of a function and of those that it is made of.
fn dot_flops(module: &Module, function: FuncId) -> f64 {
    let function = module.function(function).unwrap();
    let flops = function.ops.iter().map(|operation| {
        if let Op::Composite { decomposition, .. } = &operation.op {
            return dot_flops(module, *decomposition);
        }
        let Op::DotGeneral { dims, .. } = &operation.op else { return 0.0 };
        let lhs = function.value_type(operation.operands[0]).unwrap();
        let inner: usize = dims.lhs_contract.iter().map(|&dim| lhs.dims[dim]).product();
        let result = function.value_type(operation.results[0]).unwrap();
        2.0 * inner as f64 * result.num_elements() as f64
    });
    flops.sum()
}

#[test]
fn what_does_not_fit_says_where_it_would() {
    let plan = Asked::new("gemma2-27b", "tpu:v5e:2x2", "model=4").plan(16, 4096);
    assert_eq!(plan.fits, Some(false));
    assert!(plan.free_bytes.unwrap() < 0);
    assert_eq!((plan.limits.unwrap().batch > 0, plan.limits.unwrap().batch < 16), (true, true));
    let [larger] = &plan.suggestions[..] else { panic!("{plan:?}") };
    assert_eq!((larger.target.as_str(), larger.mesh.to_string().as_str()), ("tpu:v5e:2x4", "model=8"));
    // Weights alone are too much for each chip without tensor parallelism; other meshes of these chips will do.
    let plan = Asked::new("gemma2-27b", "tpu:v4:2x2x1", "data=4").plan(1, 4096);
    assert_eq!((plan.fits, plan.limits.unwrap().batch, plan.limits.unwrap().context), (Some(false), 0, 0));
    let meshes: Vec<_> = plan.suggestions.iter().map(|found| found.mesh.to_string()).collect();
    assert_eq!(meshes, ["model=4", "data=2,model=2"]);
    // One more GPU of this kind.
    let plan = Asked::new("gemma2-27b", "cuda:a100-40gb", "").plan(1, 4096);
    assert_eq!(plan.suggestions[0].target, "cuda:a100-40gb:2");
}

#[test]
fn limits_fit_and_no_more_does() {
    for (model, target, mesh, context) in [
        ("gemma2-27b", "tpu:v4:2x2x1", "model=4", 8192),
        ("gemma2-27b", "cuda:h100", "", 4096),
        ("gemma2-9b", "tpu:v5e:2x2", "data=2,model=2", 8192),
    ] {
        let asked = Asked::new(model, target, mesh);
        let limits = asked.plan(1, context).limits.unwrap();
        assert!(limits.batch > 0, "{target}");
        assert_eq!(asked.plan(limits.batch, context).fits, Some(true), "{target} {limits:?}");
        assert_eq!(asked.plan(limits.batch + 1, context).fits, Some(false), "{target} {limits:?}");
    }
    let asked = Asked::new("gemma2-27b", "cuda:h100", "");
    let limits = asked.plan(16, 4096).limits.unwrap();
    assert!(limits.context < limits.model_context, "{limits:?}");
    assert_eq!(asked.plan(16, limits.context).fits, Some(true));
    assert_eq!(asked.plan(16, limits.context + 1).fits, Some(false));
}

#[test]
fn without_a_mesh_the_fastest_that_fits_is_taken() {
    let plan = Asked::new("gemma2-2b", "cuda:h100", "").plan(8, 1024);
    assert_eq!((plan.mesh, plan.devices, plan.fits), (Mesh::default(), 1, Some(true)));
    let plan = Asked::new("gemma2-27b", "tpu:v5p:2x2x1", "").plan(16, 4096);
    assert_eq!((plan.mesh.to_string().as_str(), plan.devices), ("model=4", 4));
}

#[test]
fn pods_and_absurd_sizes_are_counted() {
    let plan = Asked::new("gemma2-27b", "tpu:v5p:16x16x24", "data=384,model=16").plan(6144, 8192);
    assert_eq!(plan.memory.kv_cache_bytes, 16 * 376_832 * (8192 + 4096) / 2 / 16);
    let plan = Asked::new("gemma2-27b", "tpu:v5p:2x2x1", "model=4").plan(limits::MAX_BATCH, 8192);
    assert_eq!(plan.fits, Some(false));
    let mut asked = Asked::new("gemma2-27b", "cpu", "model=1000000000");
    assert_eq!(asked.plan(1, 1).fits, None);
    asked.mesh = None;
    let error = |batch, context| plan_error(&asked.request(batch, context));
    assert_eq!(error(0, 16), "a program needs at least one row");
    assert_eq!(error(1, 0), "a program needs at least one position in the cache");
    assert_eq!(error(1, 8193), "a cache of 8193 positions exceeds the model's context of 8192");
    assert!(error(usize::MAX, 16).contains("give at most 1048576"));
    let request = PlanRequest { prefill_tokens: Some(17), ..asked.request(1, 16) };
    assert_eq!(plan_error(&request), "a step of 17 tokens exceeds the cache of 16 positions");
}

fn plan_error(request: &PlanRequest<'_>) -> String {
    plan(request).unwrap_err().to_string()
}

#[test]
fn mesh_target_and_rules_must_agree() {
    let mut asked = Asked::new("gemma2-2b", "tpu:v5p:2x2x2", "model=4");
    assert!(plan_error(&asked.request(1, 16)).contains("has 4 devices, but the target tpu:v5p:2x2x2 has 8"));
    asked.mesh = Some("tensor=8".parse().unwrap());
    assert!(plan_error(&asked.request(1, 16)).contains("no sharding rule uses mesh axis `tensor`"));
    (asked.mesh, asked.rules) = (None, ShardingRules::none());
    assert_eq!(
        plan_error(&asked.request(1, 16)),
        "no mesh of 8 devices goes with these sharding rules: give one"
    );
}
