//! The end of a command: errors as messages and exit codes, which are 2 for errors and 130 for Ctrl-C.

use std::io;
use std::process::ExitCode;

use lapidary::engine::EngineError;
use lapidary::models::progress::Cancelled;
use lapidary::models::quantize::QuantizeError;
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

/// Ends the process, now that the command has written all that it has to say and removed what it left on the disk.
///
/// Nothing is taken down: the system gives memory back faster than we free it, a session is kept [for
/// good](super::session::Session::for_good), and a thread may be compiling what is not needed any more. Neither is
/// such a thread waited for, nor are its plugin's destructors run under it.
pub fn end(result: anyhow::Result<()>) -> ! {
    let code = match result {
        Ok(()) => 0,
        Err(error) => code(&error),
    };
    signal_hook::low_level::exit(code.into())
}

/// Prints an error with its causes and returns the exit code that goes with it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    if is_interruption(error) {
        tell("interrupted");
        return INTERRUPTED;
    }
    if is_closed_pipe(error) {
        tell("error: standard output was closed before everything was written");
        return ERROR;
    }
    print(error);
    ERROR
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
            || matches!(cause.downcast_ref(), Some(QuantizeError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(lapidary::runtime::plugins::Error::Cancelled))
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(closed))
}
