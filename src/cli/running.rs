//! An engine that is ready to run, and how long that took.

use std::cell::Cell;

use anyhow::Result;
use lapidary::engine::cache::{CacheOutcome, Compilation};
use lapidary::engine::{Engine, EngineError, Numerics};
use lapidary::graph::DType;
use lapidary::models::config::GemmaConfig;
use lapidary::models::progress::Progress;

use super::args::DeviceArgs;
use super::cache::CacheChoice;
use super::device::Connection;
use super::mesh::MeshPlan;
use super::out_of_memory::{self, Run};
use super::ui::Ui;
use super::{interrupt, xla_flag};

/// An engine, and how long it took to start.
pub struct Running {
    /// What the model is called.
    pub model_name: String,
    /// The weights on the devices.
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

impl Running {
    /// An engine on the devices of a connection. `recompiles` is whether it was told already that all programs of a
    /// bundle are compiled again.
    pub fn new(
        model_name: String,
        engine: Engine,
        connection: Connection,
        device_args: &DeviceArgs,
        recompiles: bool,
    ) -> Self {
        Self {
            model_name,
            load_s: engine.load_time().as_secs_f64(),
            engine,
            plugin_version: connection.plugin_version,
            plugin_s: connection.seconds,
            verbose: device_args.cache.verbose,
            recompiles,
            told: Cell::new(0),
        }
    }

    /// An engine for a model of `config` whose weights the device makes up itself.
    ///
    /// # Errors
    /// If the device has no room for them, or fails; on Ctrl-C.
    pub fn random(
        model_name: String,
        config: &GemmaConfig,
        numerics: Numerics,
        connection: Connection,
        device_args: &DeviceArgs,
        ui: &Ui,
    ) -> Result<Self> {
        let cache = CacheChoice::of(&device_args.cache)?.open(&connection.client);
        let placement = MeshPlan::read(&device_args.mesh)?
            .place(&connection.client)?
            .with_kernels(device_args.kernels)
            .with_compiler_flags(xla_flag::by_name(&device_args.xla_flags));
        let _catch = interrupt::catch();
        let bar = ui.bytes("making up weights", 0);
        let made = Engine::random(&placement, config, numerics, cache, &mut |progress: Progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            interrupt::poll()
        });
        bar.finish_and_clear();
        let Numerics { dtype, kv_cache } = numerics;
        let dtype = dtype.unwrap_or(DType::BF16);
        let run = Run { model: &model_name, config, dtype, kv_cache, placement: &placement };
        let engine = made.map_err(|error| out_of_memory::explain(error, run))?;
        Ok(Self::new(model_name, engine, connection, device_args, false))
    }

    /// Whether more is told than was asked for.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// An error of the engine. Where a device ran out of memory, it says what was asked, what was free, and what fits.
    pub fn explain(&self, error: EngineError) -> anyhow::Error {
        let engine = &self.engine;
        let run = Run {
            model: &self.model_name,
            config: engine.config(),
            dtype: engine.dtype(),
            kv_cache: engine.kv_cache(),
            placement: engine.placement(),
        };
        out_of_memory::explain(error, run)
    }

    /// With `--verbose`, tells of each program that became an executable since this was called last; without it, of those
    /// alone that a bundle should have had.
    pub fn tell_compilations(&self, ui: &Ui) {
        let compilations = self.engine.compilations();
        for compilation in compilations.iter().skip(self.told.replace(compilations.len())) {
            let Compilation { program, time, ahead, cache } = &**compilation;
            // That a program of a bundle had to be compiled is told unasked, and once.
            let is_news = matches!(cache, CacheOutcome::Recompiled { .. }) && !self.recompiles;
            if self.verbose || is_news {
                let when = if *ahead { " in the background" } else { "" };
                ui.note(format_args!("{program}: {:.3} s{when}, {cache}", time.as_secs_f64()));
            }
        }
    }
}
