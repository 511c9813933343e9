//! `lapidary plugin`.

use anyhow::Result;
use clap::Args;

use super::ui::Ui;

/// Arguments of `plugin`.
#[derive(Args, Debug)]
pub struct PluginArgs {}

/// Runs the command.
pub fn run(_args: PluginArgs, _ui: &Ui) -> Result<()> {
    anyhow::bail!("not written yet")
}
