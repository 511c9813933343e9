//! Plugins for tests, or visible skips; in CI nothing may be skipped.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code)]

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use lapidary::runtime::plugins::{self, Environment, PluginKind};

/// Path of the CPU plugin; `None`, said aloud, where it is missing outside CI.
pub(crate) fn cpu_plugin() -> Option<PathBuf> {
    plugin(PluginKind::Cpu)
}

/// Path of a plugin; `None`, said aloud, where it is missing outside CI.
pub(crate) fn plugin(kind: PluginKind) -> Option<PathBuf> {
    match plugins::find(&Environment::from_process(), kind, None) {
        Ok(found) => Some(found.path),
        Err(error) => {
            skip(format_args!("no {kind} plugin ({error})"));
            None
        }
    }
}

/// Says on the terminal that a test is skipped: the harness captures the print macros only.
pub(crate) fn skip(reason: impl Display) {
    assert!(std::env::var_os("CI").is_none(), "CI must skip nothing: {reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
