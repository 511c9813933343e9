//! The built command.

// Every test binary that starts it compiles this module, and few look at all of it.
#![allow(dead_code)]

use std::process::{Command, Output};

/// `lapidary`, not yet started. What it compiles is kept for all tests and all runs of them, and out of the user's
/// own cache.
pub(crate) fn lapidary_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
    command.env("LAPIDARY_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/lapidary-cache"));
    command.env("LAPIDARY_CACHE_SIZE", "256MiB");
    command
}

/// What a program said and how it ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
