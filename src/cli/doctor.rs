//! `lapidary doctor`.

use anyhow::Result;
use clap::Args;

use super::ui::Ui;

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {}

/// Runs the command.
pub fn run(_args: DoctorArgs, _ui: &Ui) -> Result<()> {
    anyhow::bail!("not written yet")
}
