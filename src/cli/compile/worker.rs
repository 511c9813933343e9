//! The process that compiles one program.

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use lapidary::bundle;
use signal_hook::low_level;

use crate::cli::exit::INTERRUPTED;

/// Name of the command that the process runs.
pub const WORKER_COMMAND: &str = "compile-worker";

/// Arguments of the process.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// File that says what to do.
    job: PathBuf,
}

/// Compiles. Once standard input ends, nobody waits for the result any more, and so does this process.
///
/// # Errors
/// If the job cannot be read, or what came of it cannot be written.
pub fn run(args: WorkerArgs) -> Result<()> {
    std::thread::spawn(|| {
        // Whether it ends or cannot be read: nobody is there.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        // At once: the plugin's threads may be in the middle of anything.
        low_level::exit(INTERRUPTED.into());
    });
    bundle::work(&args.job).with_context(|| format!("the job {} cannot be done", args.job.display()))
}
