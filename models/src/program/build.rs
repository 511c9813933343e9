//! The program of a phase: embedding, decoder layers, logits, and the signature beside them.

use lapidary_graph::{BuildError, DType, FunctionBuilder, FunctionResult, LogicalAxes, Module, ValueId, nn};

use super::decoder_layer::{DecoderLayer, StepContext};
use super::params::{Params, cache_axes};
use super::{Input, Output, Phase, ProgramError, ProgramShape, ResultRole, ResultSpec, Signature, StateKind};
use crate::config::GemmaConfig;
use crate::weights::WeightRole;

/// A graph and what its parameters and results are.
#[derive(Clone, Debug)]
pub struct Program {
    /// The graph; its entry function is `main`.
    pub module: Module,
    /// Parameters and results of `main`.
    pub signature: Signature,
    /// The sizes it was built for.
    pub shape: ProgramShape,
}

/// Builds the program of `config` for a phase and its sizes.
///
/// # Errors
/// If the sizes make no program of this model.
pub fn build(config: &GemmaConfig, shape: &ProgramShape) -> Result<Program, ProgramError> {
    shape.check(config)?;
    let name = format!("{}_{shape}", config.architecture.model_type());
    let mut module = Module::new(name.clone());
    let signature = build_main(&mut module, config, shape)
        .map_err(|source| ProgramError::Build { model: name, source: Box::new(source) })?;
    Ok(Program { module, signature, shape: *shape })
}

fn build_main(
    module: &mut Module,
    config: &GemmaConfig,
    shape: &ProgramShape,
) -> Result<Signature, BuildError> {
    let mut b = FunctionBuilder::new(module, "main");
    let mut params = Params::declare(&mut b, config, shape);
    let results = forward(&mut b, config, shape, &params)?;
    for (index, entry) in results.entries.iter().enumerate() {
        if let ResultRole::State { layer, kind } = entry.role {
            params.donate(&mut b, layer, kind, index);
        }
    }
    let results = results.entries.into_iter().map(|entry| entry.typed(&b)).collect::<Result<Vec<_>, _>>()?;
    let (results, returned) = results.into_iter().unzip();
    b.finish_with(returned);
    Ok(Signature { params: params.into_specs(), results })
}

fn forward(
    b: &mut FunctionBuilder<'_>,
    config: &GemmaConfig,
    shape: &ProgramShape,
    params: &Params,
) -> Result<Results, BuildError> {
    let embedding = params.weight(WeightRole::Embedding, None);
    let mut hidden = b.scoped("embed_tokens", |b| {
        let rows = nn::embed(b, embedding, params.input(Input::Tokens))?;
        let scaled = nn::scale(b, rows, (config.hidden_size as f64).sqrt())?;
        b.sharding_constraint(scaled, LogicalAxes::of(&["batch", "seq", "embed"]))
    })?;

    let (start, count) = (params.input(Input::Start), params.input(Input::Count));
    let context = b.scoped("positions", |b| StepContext::new(b, config, shape, start, count))?;
    let mut states = Vec::new();
    for (index, (&kind, &cache)) in config.layer_kinds.iter().zip(&context.caches).enumerate() {
        let layer = DecoderLayer { config, shape, context: &context, params, cache, index, kind };
        let (output, keys, values) = b.scoped(&format!("layers.{index}"), |b| layer.build(b, hidden))?;
        hidden = output;
        states.push((index, StateKind::Keys, keys));
        states.push((index, StateKind::Values, values));
    }

    let mut results = Results::default();
    if shape.phase == Phase::Prefill {
        hidden = b.scoped("last_token", |b| {
            let ty = b.ty(count)?;
            let one = b.splat(1.0, &ty)?;
            let last = b.sub(count, one)?;
            nn::take(b, hidden, last)
        })?;
    }
    if shape.phase == Phase::Decode {
        hidden = b.reshape(hidden, &[shape.batch, config.hidden_size])?;
    }
    let final_norm = params.weight(WeightRole::FinalNorm, None);
    let hidden = b.scoped("norm", |b| nn::rms_norm(b, hidden, final_norm, config.rms_norm_eps))?;
    let logits = b.scoped("lm_head", |b| logits(b, config, hidden, embedding))?;
    match shape.phase {
        Phase::Prefill | Phase::Decode => results.output(Output::Logits, logits, &["batch", "vocab"]),
        Phase::Score { logits: keep } => {
            let targets = params.input(Input::Targets);
            let nll = b.scoped("nll", |b| {
                let log_probs = nn::log_softmax(b, logits, 2)?;
                let chosen = nn::take(b, log_probs, targets)?;
                b.neg(chosen)
            })?;
            results.output(Output::Nll, nll, &["batch", "seq"]);
            if keep {
                results.output(Output::Logits, logits, &["batch", "seq", "vocab"]);
            }
        }
    }
    for (layer, kind, value) in states {
        results.state(layer, kind, value);
    }
    Ok(results)
}

/// Logits of normalised hidden states, f32 whatever the weights are, without the rows of a padded vocabulary.
fn logits(
    b: &mut FunctionBuilder<'_>,
    config: &GemmaConfig,
    hidden: ValueId,
    embedding: ValueId,
) -> Result<ValueId, BuildError> {
    let mut logits = nn::linear(b, hidden, embedding, DType::F32)?;
    if let Some(cap) = config.final_logit_softcap {
        logits = nn::softcap(b, logits, cap)?;
    }
    let last = b.ty(logits)?.rank().saturating_sub(1);
    if config.live_vocab_size() < config.vocab_size {
        logits = b.slice_dim(logits, last, 0, config.live_vocab_size())?;
    }
    Ok(logits)
}

/// The entry function's results in the making.
#[derive(Default)]
struct Results {
    entries: Vec<ResultEntry>,
}

struct ResultEntry {
    name: String,
    role: ResultRole,
    value: ValueId,
    axes: LogicalAxes,
}

impl Results {
    fn output(&mut self, output: Output, value: ValueId, axes: &[&str]) {
        let name = match output {
            Output::Logits => "logits",
            Output::Nll => "nll",
        };
        let (role, axes) = (ResultRole::Output(output), LogicalAxes::of(axes));
        self.entries.push(ResultEntry { name: name.to_string(), role, value, axes });
    }

    fn state(&mut self, layer: usize, kind: StateKind, value: ValueId) {
        let name = format!("cache.{layer}.{}", kind.name());
        let role = ResultRole::State { layer, kind };
        self.entries.push(ResultEntry { name, role, value, axes: cache_axes() });
    }
}

impl ResultEntry {
    fn typed(self, b: &FunctionBuilder<'_>) -> Result<(ResultSpec, FunctionResult), BuildError> {
        let Self { name, role, value, axes } = self;
        let ty = b.ty(value)?;
        let returned = FunctionResult { value, name: name.clone(), axes: Some(axes.clone()) };
        Ok((ResultSpec { name, role, ty, axes }, returned))
    }
}
