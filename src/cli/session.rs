//! A model on a device, ready to run, and how long that took.

use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;

use anyhow::{Result, bail};
use lapidary::bundle::{Bundle, BundlePrograms};
use lapidary::engine::cache::{CacheOutcome, Compilation, ExecutableCache};
use lapidary::engine::{
    Engine, EngineError, GenerateOptions, Generation, Piece, Placement, PrefixCache, Timings,
};
use lapidary::model::Model;
use lapidary::models::builtin;
use lapidary::models::progress::Progress;

use super::args::{DeviceArgs, ModelArgs};
use super::cache::CacheChoice;
use super::device::Connection;
use super::mesh;
use super::ui::Ui;
use super::{bundle, device, interrupt, output};

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
    /// Whether it was told already that all programs of a bundle are compiled again.
    recompiles: bool,
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

/// Where the programs come from.
enum Programs {
    /// They are built and compiled for these devices when they are needed.
    Compiled(Placement),
    /// They are a bundle's.
    Bundled(Box<BundlePrograms>),
}

impl Programs {
    fn of_bundle(
        bundle: Bundle,
        connection: &Connection,
        cache: &ExecutableCache,
        recompile: bool,
        ui: &Ui,
    ) -> Result<Self> {
        let version = connection.plugin_version.as_deref();
        let directory = bundle.directory().to_owned();
        let programs = bundle.programs(&connection.client, version, cache, recompile)?;
        if let Some(reason) = programs.recompiled_because() {
            let directory = directory.display();
            ui.note(format_args!("the bundle {directory} {reason}; compiling its programs again"));
        }
        Ok(Self::Bundled(Box::new(programs)))
    }
}

impl Session {
    /// Loads an opened model onto the devices that the arguments ask for.
    ///
    /// # Errors
    /// If a bundle is not of this model, these arguments or this machine, mesh and devices do not fit, the environment
    /// asks for a cache that cannot be, a device cannot be reached, or the weights cannot be loaded; with `--check`, if a
    /// weight is not a finite number.
    pub fn start(model: Model, args: &ModelArgs, device_args: &DeviceArgs, ui: &Ui) -> Result<Self> {
        Self::start_preparing(model, args, device_args, ui, |_| Ok(()))
    }

    /// As [`start`](Self::start); `prepare` has the engine compile programs while the weights are loaded.
    ///
    /// # Errors
    /// As [`start`](Self::start), and those of `prepare`.
    pub fn start_preparing(
        model: Model,
        args: &ModelArgs,
        device_args: &DeviceArgs,
        ui: &Ui,
        prepare: impl FnOnce(&Engine) -> Result<(), EngineError> + Send,
    ) -> Result<Self> {
        let bundle = bundle::open(model.checkpoint().config(), args, device_args)?;
        let plan = bundle::mesh_plan(bundle.as_ref(), device_args)?;
        let cache = CacheChoice::of(&device_args.cache)?;
        if args.check {
            check_weights(&model, ui)?;
        }
        let kind = bundle.as_ref().map(Bundle::plugin_kind);
        let connection = device::connect(device_args, kind, plan.num_devices(), ui)?;
        let cache = cache.open(&connection.client);
        let programs = match bundle {
            None => Programs::Compiled(plan.place(&connection.client)?.with_kernels(device_args.kernels)),
            Some(bundle) => {
                Programs::of_bundle(bundle, &connection, &cache, device_args.bundle.recompile, ui)?
            }
        };
        let catch = interrupt::catch();
        let bar = ui.bytes("loading", model.checkpoint().byte_count());
        let shows_sharding = device_args.mesh.show_sharding || matches!(programs, Programs::Compiled(_));
        let recompiles =
            matches!(&programs, Programs::Bundled(programs) if programs.recompiled_because().is_some());
        let mut show = |progress: Progress| {
            bar.set_position(progress.done);
            interrupt::poll()
        };
        let checkpoint = model.checkpoint();
        let unloaded = match programs {
            Programs::Compiled(placement) => Engine::unloaded(&placement, checkpoint, args.dtype.dtype()),
            Programs::Bundled(programs) => Engine::unloaded_bundle(checkpoint, *programs),
        };
        let engine =
            unloaded.and_then(|engine| engine.with_cache(cache).load(checkpoint, prepare, &mut show));
        bar.finish_and_clear();
        drop(catch);
        let engine = engine?;
        let load_s = engine.load_time().as_secs_f64();
        if shows_sharding {
            mesh::tell_sharding(&engine, &device_args.mesh, ui)?;
        }
        let (plugin_version, plugin_s) = (connection.plugin_version, connection.seconds);
        let verbose = device_args.cache.verbose;
        Ok(Self { model, engine, plugin_version, plugin_s, load_s, verbose, recompiles, told: Cell::new(0) })
    }

    /// With `--verbose`, tells of each program that became an executable since this was called last; without it, of those
    /// alone that a bundle should have had.
    pub fn tell_compilations(&self, ui: &Ui) {
        let compilations = self.engine.compilations();
        for compilation in compilations.iter().skip(self.told.replace(compilations.len())) {
            let Compilation { program, time, cache } = &**compilation;
            // That a program of a bundle had to be compiled is told unasked, and once.
            let is_news = matches!(cache, CacheOutcome::Recompiled { .. }) && !self.recompiles;
            if self.verbose || is_news {
                ui.note(format_args!("{program}: {:.3} s, {cache}", time.as_secs_f64()));
            }
        }
    }

    /// Answers prompts. With `streams`, the text goes to standard output as it comes. Ctrl-C ends the answers where they
    /// are.
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
        self.compile(ui, || self.engine.prepare_generation(prompts, options))?;
        let tokenizer = self.model.tokenizer_if_any();
        stream(streams, ui, |show| self.engine.generate(prompts, tokenizer, options, show))
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
        let answer = stream(true, ui, |show| kept.generate(prompt, tokenizer, options, show))?;
        if self.verbose {
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
        prepare()?;
        spinner.finish_and_clear();
        self.tell_compilations(ui);
        Ok(())
    }
}

/// Runs `generate`, giving it what shows the pieces and ends the answers on Ctrl-C.
fn stream<T>(
    streams: bool,
    ui: &Ui,
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
    Ok(result?)
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
