//! The program of a phase: steps through the model, what is answered of them, and the signature beside it.

use lapidary_graph::{BuildError, FunctionBuilder, Module, nn};

use super::params::Params;
use super::results::Results;
use super::step::{Model, States};
use super::{Input, Output, Phase, ProgramError, ProgramShape, ResultRole, Signature, generation};
use crate::config::GemmaConfig;

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

/// Builds the program of `config` for a phase and its sizes. It takes each weight in its encoding.
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
    let mut results = Results::default();
    let model = Model { config, shape, params: &params };
    let states = answer(&mut b, &model, &mut results)?;
    for (layer, kind, value) in states {
        results.state(layer, kind, value);
    }
    for (index, role) in results.roles().enumerate() {
        if let ResultRole::State { layer, kind } = role {
            params.donate(&mut b, layer, kind, index);
        }
    }
    let (results, returned) = results.typed(&b)?;
    b.finish_with(returned);
    Ok(Signature { params: params.into_specs(), results })
}

/// Adds the answers of the phase to `results`; the state afterwards.
fn answer(
    b: &mut FunctionBuilder<'_>,
    model: &Model<'_>,
    results: &mut Results,
) -> Result<States, BuildError> {
    match model.shape.phase {
        Phase::Prefill | Phase::Decode => {
            let (hidden, states) = model.step(b)?;
            let logits = model.last_logits(b, hidden)?;
            results.output(Output::Logits, logits, &["batch", "vocab"]);
            Ok(states)
        }
        Phase::Score { logits: keep } => {
            let (hidden, states) = model.step(b)?;
            let logits = model.logits(b, hidden)?;
            let targets = model.params.input(Input::Targets);
            let nll = b.scoped("nll", |b| {
                let log_probs = nn::log_softmax(b, logits, 2)?;
                let chosen = nn::take(b, log_probs, targets)?;
                b.neg(chosen)
            })?;
            results.output(Output::Nll, nll, &["batch", "seq"]);
            if keep {
                results.output(Output::Logits, logits, &["batch", "seq", "vocab"]);
            }
            Ok(states)
        }
        Phase::SampledPrefill(sampler) => generation::build(b, model, sampler, 1, results),
        Phase::SampledDecode { steps, sampler } => generation::build(b, model, sampler, steps, results),
    }
}
