//! A small graph from one end to the other: built, printed, interpreted, lowered, compiled and run.
//!
//! ```sh
//! cargo run -- plugin install cpu     # once
//! cargo run --example build_and_run
//! ```

use anyhow::{Context, Result, ensure};
use lapidary::graph::interp::{Tensor, evaluate};
use lapidary::graph::{BuildError, DType, FunctionBuilder, Module, TensorType, nn, verify_program};
use lapidary::lower::{LowerOptions, ShardingRules, Target, lower};
use lapidary::runtime::plugins::{self, Environment, PluginKind};
use lapidary::runtime::{Client, ClientOptions, CompileOptions, ElementType, Plugin, Program};

/// The last step of a language model: which of four tokens comes next after each of two hidden states?
///
/// Every line below appends an operation to `main`, whose result type is inferred on the spot; one that
/// does not fit its operands is an error that names both.
fn next_token() -> Result<Module, BuildError> {
    let mut module = Module::new("next_token");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let hidden = b.param("hidden", TensorType::new(DType::F32, [2, 3]));
    let gain = b.param("gain", TensorType::new(DType::F32, [3]));
    let embedding = b.param("embedding", TensorType::new(DType::F32, [4, 3]));

    // What is built in a scope carries its name, in error messages as in the compiler's profiles.
    let normed = b.scoped("norm", |b| nn::rms_norm(b, hidden, gain, 1e-6))?;
    let logits = b.scoped("lm_head", |b| nn::linear(b, normed, embedding, DType::F32))?;
    let probabilities = b.scoped("softmax", |b| nn::softmax(b, logits, 1))?;
    b.finish(&[probabilities]);
    Ok(module)
}

fn main() -> Result<()> {
    let module = next_token()?;
    println!("The graph:\n\n{module}");

    // The reference interpreter needs no plugin. It is slow and says what the graph means.
    let arguments = [
        Tensor::from_f32(&[2, 3], &[1.0, -2.0, 0.5, 4.0, 0.0, -1.0])?,
        Tensor::from_f32(&[3], &[0.0, 0.1, -0.1])?,
        Tensor::from_f32(&[4, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, -1.0, -1.0, -1.0])?,
    ];
    let entry = module.entry().context("the module has a `main`")?;
    let expected = evaluate(&module, entry, &arguments)?;
    let expected = expected.first().context("`main` has a result")?.to_floats();
    println!("The interpreter's probabilities: {expected:.6?}\n");

    // Lowering takes only what the verifier has passed, and so has no reason to fail half-way.
    let verified = verify_program(&module)?;
    let target = Target::of_platform("cpu").context("the CPU is a known target")?;
    let text = lower(verified, &LowerOptions { target, mesh: None, rules: &ShardingRules::none() })?;
    println!("The same as StableHLO:\n\n{text}");

    // XLA compiles and runs it. For a TPU or GPU only the kind of plugin differs.
    let located = plugins::find(&Environment::from_process(), PluginKind::Cpu, None)?;
    let client = Client::create(&Plugin::load(&located.path)?, &ClientOptions::new().cpu_device_count(1))?;
    let executable = client.compile(&Program::stablehlo(&text), &CompileOptions::new())?;
    let device = executable.addressable_devices().first().context("the program has a device")?;
    let buffers = arguments
        .iter()
        .map(|a| client.buffer_from_host(&a.to_bytes(), ElementType::F32, a.dims(), device))
        .collect::<Result<Vec<_>, _>>()?;
    // A borrowed buffer can be used again; one that is moved in is donated to the program.
    let results = executable.run(buffers.iter().map(Into::into).collect())?;
    let computed = results.first().context("the program has a result")?.to_vec::<f32>()?;
    println!("XLA's probabilities:             {computed:.6?}");

    let differences = expected.iter().zip(&computed).map(|(e, &c)| (e - f64::from(c)).abs());
    let largest = differences.fold(0.0, f64::max);
    println!("Largest difference:              {largest:.1e}");
    ensure!(largest < 1e-6, "XLA and the interpreter disagree");
    Ok(())
}
