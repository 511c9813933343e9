//! `lapidary synth`.

use anyhow::Result;
use clap::Args;

use super::ui::Ui;

/// Arguments of `synth`.
#[derive(Args, Debug)]
pub struct SynthArgs {}

/// Runs the command.
pub fn run(_args: SynthArgs, _ui: &Ui) -> Result<()> {
    anyhow::bail!("not written yet")
}
