//! Checking a bundle.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use lapidary::bundle;
use lapidary::runtime::plugins::{self, Environment, Error, PluginKind};
use serde_json::json;

use crate::cli::output;
use crate::cli::ui::Ui;

/// Exit code of a bundle that is not what it was.
const DIFFERS: u8 = 1;

/// Compares a bundle with its manifest, and the plugin here with the one that compiled it.
///
/// # Errors
/// If the bundle or the plugin cannot be read.
pub fn run(directory: &Path, json: bool, ui: &Ui) -> Result<ExitCode> {
    let bundle = bundle::open(directory)?;
    let kind: PluginKind = bundle.plugin.kind.parse()?;
    let plugin = match plugins::find(&Environment::from_process(), kind, None) {
        Ok(plugin) => Some(plugin),
        Err(Error::NotFound { .. }) => {
            ui.note(format_args!("there is no {kind} plugin here to compare with the one that compiled it"));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let verification = bundle.verify(directory, plugin.as_ref())?;
    let differences: Vec<String> = verification.differences.iter().map(ToString::to_string).collect();
    if json {
        output::json(&json!({
            "path": directory.display().to_string(),
            "whole": differences.is_empty(),
            "files": verification.files,
            "bytes": verification.bytes,
            "differences": differences,
        }))?;
    } else if differences.is_empty() {
        let (files, programs) = (verification.files, bundle.programs.len());
        output::line(format_args!("{}: {programs} programs, {files} files, whole", directory.display()))?;
    } else {
        for difference in &differences {
            output::line(difference)?;
        }
    }
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}
