//! Choosing a device and connecting to it.

mod attached;
mod gpu;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lapidary::runtime::plugins::{self, Environment, InstalledPlugin, LocatedPlugin, PluginKind, Use};
use lapidary::runtime::{Client, ClientOptions, Plugin};

use super::args::{DeviceArg, DeviceArgs, DeviceChoice};
use super::plugin::install::install;
use super::ui::Ui;

pub use attached::is_attached;
pub use gpu::GpuMemoryArgs;

/// A connection, and how long it took to make.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// Version of the plugin's package, where it is known.
    pub plugin_version: Option<String>,
    /// Seconds to find (and install), load and start the plugin.
    pub seconds: f64,
}

/// Connects to the kind of device that the arguments ask for, installing the CPU plugin if need be, for a mesh of
/// `devices` devices: the CPU acts as so many. Without a choice, the device is that of a bundle, if there is one.
///
/// # Errors
/// If there is no plugin for it, or it does not start.
pub fn connect(args: &DeviceArgs, bundle: Option<PluginKind>, devices: usize, ui: &Ui) -> Result<Connection> {
    let started = Instant::now();
    let environment = Environment::from_process();
    let DeviceArgs { choice: args, mesh, gpu, cache: _, bundle: _, kernels: _, xla_flags: _ } = args;
    let kind = match args.device.plugin_kind().or(bundle) {
        Some(kind) => kind,
        None => {
            let (kind, reason) = best_present();
            if args.plugin.is_none() {
                ui.remark(format_args!("device: {kind} ({reason})"));
            }
            kind
        }
    };
    if wants_tpu(args) && !is_attached(PluginKind::Tpu) {
        // The plugin itself would ask the cloud's metadata server for minutes before it said so.
        bail!(
            "no TPU is attached to this machine: neither /dev/accelN nor /dev/vfio/N exists; run this on a Cloud \
             TPU VM, choose another --device, or give --device tpu with a --plugin to try regardless"
        );
    }
    // A plugin that was named may drive another kind of device than the best one present.
    let named = args.plugin.is_some() && args.device == DeviceArg::Auto;
    if mesh.virtual_devices.is_some() && kind != PluginKind::Cpu && !named {
        bail!(
            "--virtual-devices divides the CPU, but the device is {kind}, whose devices are real: leave it out, or \
             add --device cpu"
        );
    }
    gpu.check(kind)?;
    let options = match (mesh.virtual_devices, kind) {
        (None, _) if named => ClientOptions::new(),
        (None, PluginKind::Cuda) => gpu.client_options(args.device.gpu_ordinal(), devices)?,
        (None, PluginKind::Cpu | PluginKind::Tpu) => client_options(kind, devices)?,
        (Some(_), _) => client_options(PluginKind::Cpu, devices)?,
    };
    let located = locate(&environment, kind, args.plugin.as_deref(), ui)?;
    let plugin = Plugin::load(&located.path)?;
    let client = Client::create(&plugin, &options)
        .with_context(|| format!("the plugin {} does not start", located.path.display()))?;
    Ok(Connection { client, plugin_version: located.version, seconds: started.elapsed().as_secs_f64() })
}

/// Whether the arguments lead to the TPU plugin: by the device, or by the name of a plugin given for another
/// device. Both at once are taken at their word.
fn wants_tpu(args: &DeviceChoice) -> bool {
    match (&args.plugin, args.device) {
        (None, device) => device == DeviceArg::Tpu,
        (Some(_), DeviceArg::Tpu) => false,
        (Some(plugin), _) => {
            plugin.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libtpu"))
        }
    }
}

/// The options that a client is created with where nothing else is asked for. The CPU acts as `cpu_devices` devices,
/// which share its cores, so that without a mesh there is no use for more than one; of GPUs no memory is taken before
/// it is needed.
///
/// # Errors
/// If those are too many.
pub fn client_options(kind: PluginKind, cpu_devices: usize) -> Result<ClientOptions> {
    match (kind, i64::try_from(cpu_devices)) {
        (PluginKind::Cpu, Ok(count)) if count <= ClientOptions::MAX_CPU_DEVICES => {
            Ok(ClientOptions::new().cpu_device_count(count))
        }
        (PluginKind::Cpu, _) => bail!(
            "the mesh takes {cpu_devices} devices, but the CPU acts as at most {}: choose a smaller --mesh",
            ClientOptions::MAX_CPU_DEVICES
        ),
        (PluginKind::Tpu, _) => Ok(ClientOptions::new()),
        (PluginKind::Cuda, _) => Ok(GpuMemoryArgs::default().memory_pool()),
    }
}

/// What libtpu needs to load without a TPU: otherwise it asks the metadata server of Google's cloud who it is,
/// for minutes, and insists on being the only one. It would also leave logs in a directory of its own.
const TPU_ABSENT: [(&str, &str); 6] = [
    ("TPU_SKIP_MDS_QUERY", "1"),
    ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ("TPU_ACCELERATOR_TYPE", "v5p-8"),
    ("TPU_WORKER_HOSTNAMES", "localhost"),
    ("TPU_WORKER_ID", "0"),
    ("TPU_LOG_DIR", "disabled"),
];

/// Variables that a process needs to load a plugin on this machine. Where its hardware is attached, whoever set the
/// machine up has set them.
pub fn environment(kind: PluginKind) -> &'static [(&'static str, &'static str)] {
    environment_where(kind, is_attached(kind))
}

fn environment_where(kind: PluginKind, attached: bool) -> &'static [(&'static str, &'static str)] {
    match kind {
        PluginKind::Tpu if !attached => &TPU_ABSENT,
        PluginKind::Cpu | PluginKind::Tpu | PluginKind::Cuda => &[],
    }
}

/// The best device whose hardware is here, and how one can tell.
pub fn best_present() -> (PluginKind, &'static str) {
    if is_attached(PluginKind::Tpu) {
        (PluginKind::Tpu, "a TPU is attached")
    } else if is_attached(PluginKind::Cuda) {
        (PluginKind::Cuda, "an NVIDIA GPU is attached")
    } else {
        (PluginKind::Cpu, "no TPU or NVIDIA GPU is attached")
    }
}

/// Finds a plugin, installing the CPU's if need be.
///
/// # Errors
/// If there is none.
pub fn locate(
    environment: &Environment,
    kind: PluginKind,
    explicit: Option<&Path>,
    ui: &Ui,
) -> Result<LocatedPlugin> {
    match plugins::find(environment, kind, explicit) {
        Err(plugins::Error::NotFound { .. }) if kind == PluginKind::Cpu => {
            ui.note("The CPU plugin is not installed yet; installing it now (once).");
            let installed = install(environment, kind, Use::Run, false, ui)?;
            let InstalledPlugin { package, version, library, .. } = installed;
            ui.note(format_args!("installed {package} {version} in {}", library.display()));
            Ok(plugins::find(environment, kind, explicit)?)
        }
        found => Ok(found?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tpu_that_is_here_is_left_to_its_own_environment() {
        assert_eq!(environment_where(PluginKind::Tpu, true), []);
        assert!(environment_where(PluginKind::Tpu, false).contains(&("TPU_SKIP_MDS_QUERY", "1")));
        for attached in [false, true] {
            assert_eq!(environment_where(PluginKind::Cpu, attached), []);
            assert_eq!(environment_where(PluginKind::Cuda, attached), []);
        }
    }
}
