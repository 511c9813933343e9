//! `lapidary doctor`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use lapidary::runtime::plugins::{self, Candidate, Environment, PluginKind, Source};
use serde::{Serialize, Serializer};

use super::args::{DeviceArg, DeviceChoice};
use super::{device, output};

mod host;
mod nvidia;
mod print;
mod probe;

use host::Host;
use nvidia::Nvidia;
use probe::Findings;

pub use probe::{PROBE_COMMAND, ProbeArgs, run as probe};

/// Arguments of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary doctor
  lapidary doctor --device cpu
  lapidary doctor --device cpu --plugin ./my_plugin.so
  lapidary doctor --json

The exit code is 0 if a device can be used, and 2 if none can.")]
pub struct DoctorArgs {
    #[command(flatten)]
    device: DeviceChoice,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// All that was found out.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    /// Whether there is a device to run on.
    usable: bool,
    host: Host,
    plugins: Vec<PluginReport>,
}

/// What was found out about one kind of plugin.
#[derive(Serialize)]
struct PluginReport {
    #[serde(serialize_with = "by_name")]
    kind: PluginKind,
    /// Whether this machine has such hardware.
    attached: bool,
    /// The library that the other commands would load.
    #[serde(serialize_with = "output::path_if_any")]
    chosen: Option<PathBuf>,
    verdict: Verdict,
    /// What to do, where something is to be done.
    advice: Option<String>,
    /// For NVIDIA GPUs, the driver and NVIDIA's packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    nvidia: Option<Nvidia>,
    places: Vec<Place>,
}

/// In one word.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// There is a device to run on.
    Usable,
    /// The plugin loads, but its hardware is not here.
    CompilesOnly,
    /// The plugin loads, but lacks what compiling takes, and its hardware is not here.
    Incomplete,
    /// The plugin that would be loaded does not work, or a broken one was asked for.
    Broken,
    /// There is no plugin.
    Missing,
}

/// A place that was looked at.
#[derive(Serialize)]
struct Place {
    source: String,
    #[serde(serialize_with = "output::path_if_any")]
    path: Option<PathBuf>,
    version: Option<String>,
    /// Why there is nothing to load there.
    problem: Option<String>,
    advice: Option<String>,
    /// What the library says of itself, if it was loaded.
    findings: Option<Findings>,
    /// Why it could not be loaded.
    failure: Option<String>,
}

fn by_name<S: Serializer>(kind: &PluginKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// Looks at this machine and at every plugin on it, trying out those that look fit.
///
/// # Errors
/// If there is no device to run on.
pub fn run(args: DoctorArgs) -> Result<()> {
    let environment = Environment::from_process();
    let kinds = match args.device.device {
        DeviceArg::Cpu => vec![PluginKind::Cpu],
        DeviceArg::Tpu => vec![PluginKind::Tpu],
        DeviceArg::Cuda(_) => vec![PluginKind::Cuda],
        // A library without its kind is taken for the kind that the other commands would take it for.
        DeviceArg::Auto if args.device.plugin.is_some() => vec![device::best_present().0],
        DeviceArg::Auto => PluginKind::ALL.to_vec(),
    };
    let explicit = args.device.plugin.as_deref();
    let plugins: Vec<_> =
        kinds.into_iter().map(|kind| PluginReport::of(&environment, kind, explicit)).collect();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        usable: plugins.iter().any(|plugin| plugin.verdict == Verdict::Usable),
        host: Host::examine(&environment),
        plugins,
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::text(&print::report(&report))?;
    }
    if !report.usable {
        bail!("there is no device to run on");
    }
    Ok(())
}

impl PluginReport {
    fn of(environment: &Environment, kind: PluginKind, explicit: Option<&Path>) -> Self {
        let attached = device::is_attached(kind);
        let found = plugins::find(environment, kind, explicit);
        let candidates = plugins::discover(environment, kind, explicit);
        let places: Vec<Place> = candidates.iter().map(|candidate| Place::of(candidate, attached)).collect();
        let library = found.as_ref().ok().map(|plugin| plugin.path.as_path());
        let nvidia = (kind == PluginKind::Cuda).then(|| Nvidia::examine(environment, library));
        let can_compile = nvidia.as_ref().is_none_or(Nvidia::can_compile);
        let verdict = match &found {
            Ok(plugin) => match places.iter().find(|place| place.path.as_ref() == Some(&plugin.path)) {
                Some(place) if place.has_device() => Verdict::Usable,
                Some(place) if place.failure().is_none() && !attached && can_compile => Verdict::CompilesOnly,
                Some(place) if place.failure().is_none() && !attached => Verdict::Incomplete,
                Some(_) | None => Verdict::Broken,
            },
            Err(plugins::Error::NotFound { .. }) => Verdict::Missing,
            Err(_) => Verdict::Broken,
        };
        let advice = match verdict {
            Verdict::Missing if attached => Some(format!("install it with `lapidary plugin install {kind}`")),
            Verdict::Incomplete => Some(format!(
                "install what compiling takes with `lapidary plugin install {kind} --compile-only`"
            )),
            _ if attached && nvidia.as_ref().is_some_and(|nvidia| nvidia.missing().next().is_some()) => {
                Some(format!("install what is missing with `lapidary plugin install {kind}`"))
            }
            _ => None,
        };
        let chosen = found.ok().map(|plugin| plugin.path);
        Self { kind, attached, chosen, verdict, advice, nvidia, places }
    }
}

impl Place {
    fn of(candidate: &Candidate, attached: bool) -> Self {
        let tried = candidate.located().map(|plugin| probe::in_child(plugin.kind, &plugin.path, attached));
        let (findings, failure) = match tried {
            None => (None, None),
            Some(Ok(findings)) => (Some(findings), None),
            Some(Err(failure)) => (None, Some(failure)),
        };
        let mut place = Self {
            source: candidate.source.to_string(),
            path: candidate.path.clone(),
            version: candidate.version.clone(),
            problem: candidate.problem.as_ref().map(ToString::to_string),
            advice: candidate.advice(),
            findings,
            failure,
        };
        if place.failure().is_some() {
            place.advice = Some(advice_on_failure(candidate));
        }
        place
    }

    /// Why a library that looked fit does not work.
    fn failure(&self) -> Option<&str> {
        let findings = self.findings.as_ref();
        self.failure.as_deref().or_else(|| findings?.client_failure.as_deref())
    }

    fn has_device(&self) -> bool {
        let client = self.findings.as_ref().and_then(|findings| findings.client.as_ref());
        client.is_some_and(|client| client.devices.iter().any(|device| device.addressable))
    }
}

/// What to do about a library that looks fit and does not work.
fn advice_on_failure(candidate: &Candidate) -> String {
    let kind = candidate.kind;
    match &candidate.source {
        Source::Explicit => "give another library, or none to have the others tried".to_owned(),
        Source::Variable(name) => format!("correct {name}, or unset it to have the others tried"),
        Source::Installed => format!("fetch it anew with `lapidary plugin install {kind} --force`"),
        Source::VirtualEnvironment | Source::Python(_) => {
            format!(
                "install the tested version with `lapidary plugin install {kind}`; it goes before this one"
            )
        }
    }
}
