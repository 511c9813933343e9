//! Installing a plugin, with progress.

use anyhow::Result;
use indicatif::{BinaryBytes, ProgressBar};
use lapidary::runtime::plugins::{
    self, Environment, InstallOptions, InstalledPlugin, PluginKind, Progress, Step, Use,
};

use crate::cli::ui::Ui;
use crate::cli::{interrupt, output};

/// Installs what is missing of a plugin and says what is there then.
///
/// # Errors
/// If something cannot be fetched, verified or stored, or on Ctrl-C.
pub fn run(environment: &Environment, kind: PluginKind, wanted: Use, force: bool, ui: &Ui) -> Result<()> {
    let fetched = plugins::to_fetch(environment, kind, wanted, force)?;
    if let [_, _, ..] = fetched.as_slice() {
        let total: u64 = fetched.iter().map(|fetch| fetch.bytes).sum();
        ui.note(format_args!("fetching {} packages, {}:", fetched.len(), BinaryBytes(total)));
        for fetch in &fetched {
            ui.note(format_args!("  {} {}, {}", fetch.package, fetch.version, BinaryBytes(fetch.bytes)));
        }
    }
    let InstalledPlugin { package, version, library, .. } = install(environment, kind, wanted, force, ui)?;
    let what = if fetched.is_empty() { "is installed already" } else { "installed" };
    output::line(format_args!("{package} {version} {what}: {}", library.display()))?;
    for state in plugins::companions_beside(kind, &library).iter().filter(|state| state.is_complete()) {
        let version = state.version.as_deref().unwrap_or("?");
        let size = BinaryBytes(state.bytes);
        output::line(format_args!(
            "  {} {version}, {size}: {}",
            state.companion.name, state.companion.reason
        ))?;
    }
    Ok(())
}

/// Installs what is missing of a plugin, showing progress.
///
/// # Errors
/// If something cannot be fetched, verified or stored, or on Ctrl-C.
pub fn install(
    environment: &Environment,
    kind: PluginKind,
    wanted: Use,
    force: bool,
    ui: &Ui,
) -> Result<InstalledPlugin> {
    let _catch = interrupt::catch();
    let options = InstallOptions { force, cancel: interrupt::flag() };
    let mut shown: Option<(usize, &'static str, ProgressBar)> = None;
    let installed = plugins::install_for(environment, kind, wanted, &options, &mut |step| {
        let Step { package, number, of, progress } = step;
        let (what, done, total) = match progress {
            Progress::Waiting => ("waiting for another process that installs", 0, 0),
            Progress::Downloading { bytes, total } => ("downloading", bytes, total),
            Progress::Verifying { bytes, total } => ("verifying", bytes, total),
            Progress::Unpacking { bytes, total } => ("unpacking", bytes, total),
        };
        if shown.as_ref().is_none_or(|(shown, phase, _)| (*shown, *phase) != (number, what)) {
            if let Some((_, _, bar)) = shown.take() {
                bar.finish_and_clear();
            }
            let bar = ui.bytes(what, total);
            if of > 1 && progress != Progress::Waiting {
                bar.set_message(format!("{what} {package} ({number} of {of})"));
            }
            shown = Some((number, what, bar));
        }
        if let Some((_, _, bar)) = &shown {
            bar.set_length(total);
            bar.set_position(done);
        }
    });
    if let Some((_, _, bar)) = shown {
        bar.finish_and_clear();
    }
    Ok(installed?)
}
