//! Generates text with the library, printing it as it comes:
//!
//! ```sh
//! cargo run -- plugin install cpu     # once
//! cargo run --release --example generate_text -- path/to/gemma-2-2b "The capital of France is"
//! ```
//!
//! Without arguments it runs the built-in model, a small Gemma 2 that tells stories.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::{Context, Result, anyhow};
use lapidary::engine::{Engine, GenerateOptions, Piece, Placement, Sampling};
use lapidary::model::Model;
use lapidary::runtime::plugins::{self, Environment, PluginKind};
use lapidary::runtime::{Client, ClientOptions, Plugin};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let model = match arguments.next() {
        Some(directory) => Model::open(&directory)?,
        None => Model::builtin()?,
    };
    let prompt = arguments.next().unwrap_or_else(|| "Once upon a time".to_string());

    // A plugin is a shared library with XLA's compiler and runtime for one kind of device.
    let located = plugins::find(&Environment::from_process(), PluginKind::Cpu, None)?;
    let client = Client::create(&Plugin::load(&located.path)?, &ClientOptions::new().cpu_device_count(1))?;
    let device = client.addressable_devices().first().context("the plugin has a device")?;

    // Weights are loaded once, in the dtype they are stored in. The closure may show progress or cancel.
    let placement = Placement::single(&client, device);
    let engine = Engine::load(&placement, model.checkpoint(), None, &mut |_| ControlFlow::Continue(()))?;

    let tokenizer = model.tokenizer().map_err(|reason| anyhow!("{reason}"))?;
    let tokens = tokenizer.encode(&prompt)?;
    let options = GenerateOptions {
        max_new_tokens: 48,
        sampling: Sampling { temperature: 0.8, top_p: 0.95, seed: 1, ..Sampling::default() },
        ..GenerateOptions::default()
    };
    let mut output = std::io::stdout();
    write!(output, "{prompt}")?;
    // Called for each token; text arrives in whole characters. Several prompts would share every step.
    let mut stream = |piece: Piece<'_>| {
        let written = output.write_all(piece.text.as_bytes()).and_then(|()| output.flush());
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let (generations, timings) = engine.generate(&[tokens], Some(tokenizer), &options, &mut stream)?;

    let generation = generations.first().context("a prompt has an answer")?;
    let rate = timings.decode_tokens as f64 / timings.decode.as_secs_f64();
    let (count, reason) = (generation.token_ids.len(), generation.finish_reason.name());
    println!("\n\n{count} tokens, ended by {reason}; {rate:.0} tokens/s on {}", client.platform_name());
    Ok(())
}
