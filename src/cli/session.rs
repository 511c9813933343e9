//! A model on a device, ready to run, and how long that took.

use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, bail};
use lapidary::engine::cache::Compilation;
use lapidary::engine::{Engine, GenerateOptions, Generation, Piece, Timings};
use lapidary::model::Model;
use lapidary::models::builtin;
use lapidary::models::progress::Progress;

use super::args::{DeviceArgs, ModelArgs};
use super::cache::CacheChoice;
use super::mesh::{self, MeshPlan};
use super::ui::Ui;
use super::{device, interrupt, output};

/// A model and the engine that runs it.
pub struct Session {
    /// The model's files.
    pub model: Model,
    /// Its weights on the device.
    pub engine: Engine,
    /// Version of the plugin's package, where it is known.
    pub plugin_version: Option<String>,
    /// Seconds to find, load and start the plugin.
    pub plugin_s: f64,
    /// Seconds to load the weights.
    pub load_s: f64,
    verbose: bool,
    /// How many of the engine's compilations were told of.
    told: Cell<usize>,
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
    /// If mesh and devices do not fit, the environment asks for a cache that cannot be, a device cannot be reached, or
    /// the weights cannot be loaded; with `--check`, if a weight is not a finite number.
    pub fn start(model: Model, args: &ModelArgs, device_args: &DeviceArgs, ui: &Ui) -> Result<Self> {
        let plan = MeshPlan::read(&device_args.mesh)?;
        let cache = CacheChoice::of(&device_args.cache)?;
        if args.check {
            check_weights(&model, ui)?;
        }
        let connection = device::connect(device_args, plan.num_devices(), ui)?;
        let placement = plan.place(&connection.client)?;
        let started = Instant::now();
        let catch = interrupt::catch();
        let bar = ui.bytes("loading", model.checkpoint().byte_count());
        let engine =
            Engine::load(&placement, model.checkpoint(), args.dtype.dtype(), &mut |progress: Progress| {
                bar.set_position(progress.done);
                interrupt::poll()
            });
        bar.finish_and_clear();
        drop(catch);
        let load_s = started.elapsed().as_secs_f64();
        let engine = engine?.with_cache(cache.open(&connection.client));
        mesh::tell_sharding(&engine, &device_args.mesh, ui)?;
        let (plugin_version, plugin_s) = (connection.plugin_version, connection.seconds);
        let verbose = device_args.cache.verbose;
        Ok(Self { model, engine, plugin_version, plugin_s, load_s, verbose, told: Cell::new(0) })
    }

    /// With `--verbose`, tells of each program that became an executable since this was called last.
    pub fn tell_compilations(&self, ui: &Ui) {
        if !self.verbose {
            return;
        }
        let compilations = self.engine.compilations();
        for compilation in compilations.iter().skip(self.told.replace(compilations.len())) {
            let Compilation { program, time, cache } = &**compilation;
            ui.note(format_args!("{program}: {:.3} s, {cache}", time.as_secs_f64()));
        }
    }

    /// Generates as one batch. With `streams`, the text goes to standard output as it comes. Ctrl-C ends the
    /// answers where they are.
    ///
    /// # Errors
    /// As [`Engine::generate`], and if standard output is closed.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        streams: bool,
        ui: &Ui,
    ) -> Result<(Vec<Generation>, Timings)> {
        let _catch = interrupt::catch();
        let spinner = ui.spinner("compiling".to_string());
        self.engine.prepare_generation(prompts, options.max_new_tokens)?;
        spinner.finish_and_clear();
        self.tell_compilations(ui);
        let spinner = ui.spinner("reading the prompt".to_string());
        let mut broken: io::Result<()> = Ok(());
        let mut show = |piece: Piece<'_>| {
            spinner.finish_and_clear();
            if streams && !piece.text.is_empty() {
                broken = output::text(piece.text);
            }
            if broken.is_err() { ControlFlow::Break(()) } else { interrupt::poll() }
        };
        let result = self.engine.generate(prompts, self.model.tokenizer_if_any(), options, &mut show);
        spinner.finish_and_clear();
        broken?;
        Ok(result?)
    }
}

fn check_weights(model: &Model, ui: &Ui) -> Result<()> {
    let _catch = interrupt::catch();
    let bar = ui.bytes("checking", model.checkpoint().byte_count());
    let found = model.checkpoint().check_finite(&mut |progress: Progress| -> ControlFlow<()> {
        bar.set_position(progress.done);
        interrupt::poll()
    });
    bar.finish_and_clear();
    let found = found?;
    if found.is_empty() {
        ui.note("All weights are finite.");
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(|place| format!("  {place}")).collect();
    bail!("{} has weights that are not finite numbers:\n{}", model.path().display(), lines.join("\n"))
}
