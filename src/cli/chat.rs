//! `lapidary chat`.

use anyhow::Result;
use clap::Args;

use super::ui::Ui;

/// Arguments of `chat`.
#[derive(Args, Debug)]
pub struct ChatArgs {}

/// Runs the command.
pub fn run(_args: ChatArgs, _ui: &Ui) -> Result<()> {
    anyhow::bail!("not written yet")
}
