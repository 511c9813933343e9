//! A model on a device, ready to run, and how long that took.

mod connected;

use std::io;
use std::ops::{ControlFlow, Deref};

use anyhow::Result;
use lapidary::engine::{EngineError, GenerateOptions, Generation, Piece, PrefixCache, Timings};
use lapidary::model::Model;
use lapidary::models::builtin;

use super::args::{DeviceArgs, ModelArgs};
use super::running::Running;
use super::ui::Ui;
use super::{interrupt, output};

pub use connected::Connected;

/// A model and the engine that runs it.
pub struct Session {
    /// The model's files.
    pub model: Model,
    running: Running,
}

impl Deref for Session {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

/// Opens the model that the arguments name, or else the built-in one, saying so.
///
/// # Errors
/// If there is no such model, or it is malformed.
pub fn open_model(args: &ModelArgs, ui: &Ui) -> Result<Model> {
    if let Some(name) = &args.model {
        return Ok(Model::open(name)?);
    }
    let model = Model::builtin()?;
    ui.note(format_args!(
        "model: {}, the built-in small Gemma 2 ({:.1}M parameters, trained on made-up stories)",
        builtin::NAME,
        model.checkpoint().config().parameter_count() as f64 / 1e6,
    ));
    Ok(model)
}

impl Session {
    /// Loads an opened model onto the devices that the arguments ask for.
    ///
    /// # Errors
    /// As [`connect`](Self::connect) and [`Connected::load`].
    pub fn start(model: Model, args: &ModelArgs, device_args: &DeviceArgs, ui: &Ui) -> Result<Self> {
        Self::connect(model, args, device_args, ui)?.load(ui, |_| Ok(()))
    }

    /// Connects to the devices that the arguments ask for, on which the model is then to be [loaded](Connected::load).
    ///
    /// # Errors
    /// If a bundle is not of this model, these arguments or this machine, mesh and devices do not fit, the environment
    /// asks for a cache that cannot be, or a device cannot be reached; with `--check`, if a weight is not a finite number.
    pub fn connect<'a>(
        model: Model,
        args: &'a ModelArgs,
        device_args: &'a DeviceArgs,
        ui: &Ui,
    ) -> Result<Connected<'a>> {
        Connected::new(model, args, device_args, ui)
    }

    /// The session, to be kept until the process ends, which gives back at once what would be taken down piece by piece:
    /// executables, buffers, a vocabulary, pages of gigabytes.
    pub fn for_good(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// The engine without the model's files.
    pub fn into_running(self) -> Running {
        self.running
    }

    /// Answers prompts. With `streams`, the text goes to standard output as it comes. Ctrl-C ends the answers where they
    /// are.
    ///
    /// # Errors
    /// As [`Engine::generate`](lapidary::engine::Engine::generate), and if standard output is closed.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        streams: bool,
        ui: &Ui,
    ) -> Result<(Vec<Generation>, Timings)> {
        let _catch = interrupt::catch();
        self.compile(ui, || self.engine.prepare_generation(prompts, options))?;
        let tokenizer = self.model.tokenizer_if_any();
        stream(
            streams,
            ui,
            |error| self.explain(error),
            |show| self.engine.generate(prompts, tokenizer, options, show),
        )
    }

    /// Answers a prompt with a cache that is kept from one prompt to the next, streaming the answer.
    ///
    /// # Errors
    /// As [`PrefixCache::generate`], and if standard output is closed.
    pub fn answer(
        &self,
        kept: &mut PrefixCache<'_>,
        prompt: &[u32],
        options: &GenerateOptions,
        ui: &Ui,
    ) -> Result<(Generation, Timings)> {
        let _catch = interrupt::catch();
        self.compile(ui, || kept.prepare(prompt, options))?;
        let tokenizer = self.model.tokenizer_if_any();
        let answer = stream(
            true,
            ui,
            |error| self.explain(error),
            |show| kept.generate(prompt, tokenizer, options, show),
        )?;
        if self.is_verbose() {
            let Timings { prefill_tokens, reused_tokens, .. } = answer.1;
            ui.note(format_args!(
                "prompt: {reused_tokens} tokens kept, {prefill_tokens} read; KV cache of {} bytes",
                kept.cache_bytes(),
            ));
        }
        Ok(answer)
    }

    fn compile(&self, ui: &Ui, prepare: impl FnOnce() -> Result<(), EngineError>) -> Result<()> {
        let spinner = ui.spinner("compiling".to_string());
        prepare().map_err(|error| self.explain(error))?;
        spinner.finish_and_clear();
        self.tell_compilations(ui);
        Ok(())
    }
}

/// Runs `generate`, giving it what shows the pieces and ends the answers on Ctrl-C.
fn stream<T>(
    streams: bool,
    ui: &Ui,
    explain: impl FnOnce(EngineError) -> anyhow::Error,
    generate: impl FnOnce(&mut dyn FnMut(Piece<'_>) -> ControlFlow<()>) -> Result<T, EngineError>,
) -> Result<T> {
    let spinner = ui.spinner("reading the prompt".to_string());
    let mut broken: io::Result<()> = Ok(());
    let mut show = |piece: Piece<'_>| {
        spinner.finish_and_clear();
        if streams && !piece.text.is_empty() {
            broken = output::text(piece.text);
        }
        if broken.is_err() { ControlFlow::Break(()) } else { interrupt::poll() }
    };
    let result = generate(&mut show);
    spinner.finish_and_clear();
    broken?;
    result.map_err(explain)
}
