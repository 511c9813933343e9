//! What to do about a device that runs out of memory while a model runs.

use lapidary::engine::{EngineError, OutOfMemory, Placement};
use lapidary::graph::DType;
use lapidary::models::config::GemmaConfig;
use lapidary::models::program::KvCache;
use lapidary::plan::{PlanRequest, plan};
use lapidary::target::{Gpu, TargetSpec};

use super::compile::fitting;

/// A shortage, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{shortage}; {advice}")]
struct Advised {
    shortage: OutOfMemory,
    advice: String,
    #[source]
    error: EngineError,
}

/// What ran.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What the model was called.
    pub model: &'a str,
    /// Its sizes.
    pub config: &'a GemmaConfig,
    /// Element type that it ran in.
    pub dtype: DType,
    /// Form of its KV cache.
    pub kv_cache: KvCache,
    /// The devices.
    pub placement: &'a Placement,
}

/// An error of a run. Where the devices ran out of memory, it says what was asked, what was free, and what would fit.
pub fn explain(error: EngineError, run: Run<'_>) -> anyhow::Error {
    match OutOfMemory::of(&error, run.placement) {
        None => error.into(),
        Some(shortage) => {
            let advice = advice(&shortage, run);
            Advised { shortage, advice, error }.into()
        }
    }
}

/// The command that plans the same, and its answer where the devices are known.
fn advice(shortage: &OutOfMemory, run: Run<'_>) -> String {
    let Run { model, config, dtype, kv_cache, placement } = run;
    let (batch, context) = shortage.sizes().unwrap_or((1, config.context));
    let target = target(placement);
    let named = target.as_ref().map_or_else(|| "TARGET".to_string(), ToString::to_string);
    let mesh = match placement.devices().len() {
        1 => String::new(),
        _ => format!(" --mesh {}", placement.mesh()),
    };
    let cache = match kv_cache {
        KvCache::Dense => String::new(),
        KvCache::Int8 => format!(" --kv-cache {kv_cache}"),
    };
    let command = format!(
        "lapidary plan --model {model} --target {named}{mesh} --dtype {dtype}{cache} --batch {batch} --context \
         {context}"
    );
    let request = target.as_ref().map(|target| PlanRequest {
        config,
        dtype,
        kv_cache,
        target,
        mesh: Some(placement.mesh()),
        rules: placement.rules(),
        batch,
        context,
        prefill_batch: 1,
        prefill_tokens: None,
    });
    let planned = request.and_then(|request| Some(fitting(&plan(&request).ok()?, &request)));
    match planned.filter(|planned| !planned.is_empty()) {
        Some(planned) => format!("{planned} (`{command}`)"),
        None if target.is_none() => format!(
            "ask for fewer or shorter sequences; `{command}` tells what fits, with a target of `lapidary targets`"
        ),
        None => format!("ask for fewer or shorter sequences; `{command}` tells what they take"),
    }
}

/// The devices of a placement as a target, where the tables have them.
fn target(placement: &Placement) -> Option<TargetSpec> {
    match placement.client().platform_name() {
        "cpu" => Some(TargetSpec::Cpu),
        "cuda" => {
            let kind = &placement.devices().first()?.description().kind;
            let count = placement.devices().len();
            Some(TargetSpec::Cuda { gpu: Gpu::of_kind(kind)?, count })
        }
        _ => None,
    }
}
