//! The built command.

use std::process::Command;

/// `lapidary`, not yet started. What it compiles is kept for all tests and all runs of them, and out of the user's
/// own cache.
pub(crate) fn lapidary_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
    command.env("LAPIDARY_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/lapidary-cache"));
    command.env("LAPIDARY_CACHE_SIZE", "256MiB");
    command
}
