//! The CPU plugin for a test, or a visible skip; in CI nothing may be skipped.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use lapidary::runtime::plugins::{self, Environment, PluginKind};

/// Path of the CPU plugin; `None`, said aloud, where it is missing outside CI.
pub(crate) fn cpu_plugin() -> Option<PathBuf> {
    match plugins::find(&Environment::from_process(), PluginKind::Cpu, None) {
        Ok(found) => Some(found.path),
        Err(error) => {
            skip(format_args!("no CPU plugin ({error})"));
            None
        }
    }
}

/// Says on the terminal that a test is skipped: the harness captures the print macros only.
pub(crate) fn skip(reason: impl Display) {
    assert!(std::env::var_os("CI").is_none(), "CI must skip nothing: {reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
