//! Errors as messages and exit codes: 2 for errors, 130 for Ctrl-C.

use std::io;
use std::process::ExitCode;

use lapidary::engine::EngineError;
use lapidary::models::progress::Cancelled;
use lapidary::models::synth::SynthError;

use super::ui::tell;

/// Exit code of an error, as clap uses for wrong arguments.
const ERROR: u8 = 2;

/// What a shell reports for a process that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// The user pressed Ctrl-C; everything has been put in order.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Prints an error with its causes and returns the exit code that goes with it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_interruption(error) {
        tell("interrupted");
        return ExitCode::from(INTERRUPTED);
    }
    if is_closed_pipe(error) {
        tell("error: standard output was closed before everything was written");
        return ExitCode::from(ERROR);
    }
    print(error);
    ExitCode::from(ERROR)
}

/// Prints an error with its causes.
pub fn print(error: &anyhow::Error) {
    tell(format_args!("error: {error}"));
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Transparent errors repeat their source, and some messages quote it.
        if !last.contains(&cause) {
            tell(format_args!("  because: {cause}"));
        }
        last = cause;
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Interrupted>()
            || cause.is::<Cancelled>()
            || matches!(cause.downcast_ref(), Some(EngineError::Cancelled))
            || matches!(cause.downcast_ref(), Some(SynthError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(lapidary::runtime::plugins::Error::Cancelled))
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(closed))
}
