//! Devices that a model is to be loaded onto.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use lapidary::bundle::{Bundle, BundlePrograms};
use lapidary::engine::cache::ExecutableCache;
use lapidary::engine::{Engine, EngineError, Numerics, Placement};
use lapidary::graph::DType;
use lapidary::model::Model;
use lapidary::models::progress::Progress;

use super::Session;
use crate::cli::args::{DeviceArgs, ModelArgs};
use crate::cli::cache::CacheChoice;
use crate::cli::device::Connection;
use crate::cli::out_of_memory::{self, Run};
use crate::cli::running::Running;
use crate::cli::ui::Ui;
use crate::cli::{bundle, device, interrupt, mesh, xla_flag};

/// A model, and the devices that it is to run on.
pub struct Connected<'a> {
    model: Model,
    args: &'a ModelArgs,
    device_args: &'a DeviceArgs,
    connection: Connection,
    cache: ExecutableCache,
    programs: Programs,
}

/// Where the programs come from.
enum Programs {
    /// They are built and compiled for these devices when they are needed.
    Compiled(Placement),
    /// They are a bundle's.
    Bundled(Box<BundlePrograms>),
}

impl Programs {
    fn placement(&self) -> &Placement {
        match self {
            Self::Compiled(placement) => placement,
            Self::Bundled(programs) => programs.placement(),
        }
    }

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

impl<'a> Connected<'a> {
    pub(super) fn new(
        model: Model,
        args: &'a ModelArgs,
        device_args: &'a DeviceArgs,
        ui: &Ui,
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
            None => Programs::Compiled(
                plan.place(&connection.client)?
                    .with_kernels(device_args.kernels)
                    .with_compiler_flags(xla_flag::by_name(&device_args.xla_flags)),
            ),
            Some(bundle) => {
                Programs::of_bundle(bundle, &connection, &cache, device_args.bundle.recompile, ui)?
            }
        };
        Ok(Self { model, args, device_args, connection, cache, programs })
    }

    /// Loads the weights; `prepare` has the engine make executables meanwhile.
    ///
    /// # Errors
    /// If the weights cannot be loaded, and those of `prepare`.
    pub fn load(
        self,
        ui: &Ui,
        prepare: impl FnOnce(&Engine) -> Result<(), EngineError> + Send,
    ) -> Result<Session> {
        let Self { model, args, device_args, connection, cache, programs } = self;
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
        let placement = programs.placement().clone();
        let unloaded = match programs {
            Programs::Compiled(placement) => Engine::unloaded(&placement, checkpoint, args.numerics()),
            Programs::Bundled(programs) => Engine::unloaded_bundle(checkpoint, *programs),
        };
        let engine =
            unloaded.and_then(|engine| engine.with_cache(cache).load(checkpoint, prepare, &mut show));
        bar.finish_and_clear();
        drop(catch);
        let model_name = model.path().display().to_string();
        let engine = engine.map_err(|error| {
            let Numerics { dtype, kv_cache } = args.numerics();
            let (config, dtype) = (checkpoint.config(), dtype.unwrap_or(DType::BF16));
            let run = Run { model: &model_name, config, dtype, kv_cache, placement: &placement };
            out_of_memory::explain(error, run)
        })?;
        if shows_sharding {
            mesh::tell_sharding(&engine, &device_args.mesh, ui)?;
        }
        let running = Running::new(model_name, engine, connection, device_args, recompiles);
        Ok(Session { model, running })
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
