//! The `lapidary` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // SAFETY: the first statement of `main`, before any thread could read the environment. Plugins read this
    // when they are loaded, and would otherwise log to the user's terminal; whoever sets it sees their logs.
    unsafe {
        if std::env::var_os("TF_CPP_MIN_LOG_LEVEL").is_none() {
            std::env::set_var("TF_CPP_MIN_LOG_LEVEL", "2");
        }
    }
    cli::main()
}
