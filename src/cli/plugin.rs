//! `lapidary plugin`.

pub mod install;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use indicatif::BinaryBytes;
use lapidary::runtime::plugins::{self, Candidate, Defect, Environment, PluginKind, Problem, Source, Use};
use serde::Serialize;
use serde_json::json;

use super::output;
use super::ui::Ui;

/// Arguments of `plugin`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary plugin install cpu
  lapidary plugin list
  lapidary plugin path tpu
  lapidary plugin remove cuda

A plugin elsewhere is used if LAPIDARY_PLUGIN_CPU, LAPIDARY_PLUGIN_TPU or LAPIDARY_PLUGIN_CUDA names its library.")]
pub struct PluginArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Fetch a plugin, and what it needs, with pip; check it and store it in the data directory.
    #[command(after_help = "Examples:
  lapidary plugin install cpu
  lapidary plugin install tpu --force
  lapidary plugin install cuda --compile-only

What is there already is not fetched again, so an installation that was ended goes on where it was.
pip's own settings apply: PIP_INDEX_URL for a mirror, PIP_FIND_LINKS for a directory of wheels.")]
    Install {
        /// The devices it drives: cpu, tpu or cuda.
        kind: PluginKind,

        /// Leave out the libraries that only running programs takes: for machines without the devices.
        #[arg(long)]
        compile_only: bool,

        /// Fetch it again even if a sound installation is there.
        #[arg(long)]
        force: bool,
    },
    /// Show the plugins on this machine: installed ones, and those of Python packages and variables.
    #[command(after_help = "Examples:
  lapidary plugin list
  lapidary plugin list --json")]
    List {
        /// Print {"plugins": [{"kind", "version", "source", "pinned", "bytes", "path", "problem", "packages"}]}.
        #[arg(long)]
        json: bool,
    },
    /// Print the path of the library that would be loaded.
    #[command(after_help = "Examples:
  lapidary plugin path cpu
  LAPIDARY_PLUGIN_CPU=./my_plugin.so lapidary plugin path cpu")]
    Path {
        /// The devices it drives: cpu, tpu or cuda.
        kind: PluginKind,
    },
    /// Remove every installed version of a plugin from the data directory.
    #[command(after_help = "Examples:
  lapidary plugin remove cuda")]
    Remove {
        /// The devices it drives: cpu, tpu or cuda.
        kind: PluginKind,
    },
}

/// Installs, lists, locates or removes plugins.
///
/// # Errors
/// If a plugin cannot be fetched, found or removed.
pub fn run(args: PluginArgs, ui: &Ui) -> Result<()> {
    let environment = Environment::from_process();
    match args.action {
        Action::Install { kind, compile_only, force } => {
            let wanted = if compile_only { Use::Compile } else { Use::Run };
            install::run(&environment, kind, wanted, force, ui)
        }
        Action::List { json } => list(&environment, json, ui),
        Action::Path { kind } => {
            let located = plugins::find(&environment, kind, None)?;
            Ok(output::line(located.path.display())?)
        }
        Action::Remove { kind } => remove(&environment, kind, ui),
    }
}

fn remove(environment: &Environment, kind: PluginKind, ui: &Ui) -> Result<()> {
    let removed = plugins::remove(environment, kind)?;
    for plugin in &removed {
        output::line(format_args!(
            "{} {} removed: {}",
            plugin.package,
            plugin.version,
            plugin.library.display()
        ))?;
    }
    if removed.is_empty() {
        ui.note(format_args!(
            "no {kind} plugin is installed in Lapidary's data directory; nothing to remove"
        ));
    }
    Ok(())
}

/// A line of `plugin list`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    kind: &'static str,
    version: Option<String>,
    source: String,
    /// Whether this is the version that this program was tested with.
    pinned: bool,
    bytes: Option<u64>,
    #[serde(serialize_with = "output::path")]
    path: PathBuf,
    problem: Option<String>,
    /// What it needs beside itself.
    packages: Vec<ListedPackage>,
}

/// A package beside a plugin.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ListedPackage {
    name: &'static str,
    version: Option<String>,
    bytes: u64,
    complete: bool,
}

impl ListedPackage {
    fn beside(kind: PluginKind, library: &Path) -> Vec<Self> {
        let packages = plugins::companions_beside(kind, library).into_iter();
        let packages = packages.map(|state| Self {
            name: state.companion.name,
            complete: state.is_complete(),
            version: state.version,
            bytes: state.bytes,
        });
        packages.collect()
    }
}

fn list(environment: &Environment, json: bool, ui: &Ui) -> Result<()> {
    let mut listed = Vec::new();
    let installed = plugins::installed(environment)?;
    for kind in PluginKind::ALL {
        listed.extend(plugins::discover(environment, kind, None).into_iter().filter_map(Listed::found));
        // The pinned version is among those found.
        let others = installed.iter().filter(|plugin| plugin.kind == kind && !plugin.pinned);
        listed.extend(others.map(|plugin| Listed {
            kind: kind.name(),
            version: Some(plugin.version.clone()),
            source: Source::Installed.to_string(),
            pinned: false,
            bytes: Some(plugin.library_bytes),
            packages: ListedPackage::beside(kind, &plugin.library),
            path: plugin.library.clone(),
            problem: None,
        }));
    }
    if json {
        return output::json(&json!({ "plugins": listed }));
    }
    if listed.is_empty() {
        ui.note("No plugins; `lapidary plugin install cpu` installs one, `lapidary doctor` shows where was looked.");
        return Ok(());
    }
    let source_width = listed.iter().map(|plugin| plugin.source.len()).max().unwrap_or(0);
    output::line(format_args!(
        "{:5} {:10} {:6} {:>11}  {:source_width$}  PATH",
        "KIND", "VERSION", "PINNED", "SIZE", "SOURCE"
    ))?;
    listed.iter().try_for_each(|plugin| {
        let size = plugin.bytes.map(|bytes| BinaryBytes(bytes).to_string()).unwrap_or_default();
        let problem = plugin.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        output::line(format_args!(
            "{:5} {:10} {:6} {size:>11}  {:source_width$}  {}{problem}",
            plugin.kind,
            plugin.version.as_deref().unwrap_or("?"),
            if plugin.pinned { "yes" } else { "no" },
            plugin.source,
            plugin.path.display(),
        ))?;
        plugin.packages.iter().try_for_each(|package| {
            let ListedPackage { name, version, bytes, complete } = package;
            let size = if *complete { BinaryBytes(*bytes).to_string() } else { "missing".to_owned() };
            let version = version.as_deref().unwrap_or(if *complete { "?" } else { "" });
            output::line(format_args!("{:5} {version:10} {:6} {size:>11}  {name}", "", ""))
        })
    })?;
    Ok(())
}

impl Listed {
    /// What was found at a candidate's place; `None` for a place where nobody could expect anything.
    fn found(candidate: Candidate) -> Option<Self> {
        let absent = matches!(candidate.problem, Some(Problem::Defect(Defect::Missing)));
        if absent && !matches!(candidate.source, Source::Variable(_)) {
            return None;
        }
        let path = candidate.path?;
        let pinned_version = plugins::Package::pinned(candidate.kind).version;
        Some(Self {
            kind: candidate.kind.name(),
            pinned: candidate.version.as_deref() == Some(pinned_version),
            version: candidate.version,
            source: candidate.source.to_string(),
            bytes: path.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len()),
            problem: candidate.problem.map(|problem| problem.to_string()),
            packages: ListedPackage::beside(candidate.kind, &path),
            path,
        })
    }
}
