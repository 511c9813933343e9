//! Results on standard output, where a closed pipe is an error and not a panic.

use std::io::{self, Write};

use serde::Serialize;

/// Writes text and hands it on at once, so that it streams.
///
/// # Errors
/// If standard output is closed.
pub fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line.
///
/// # Errors
/// If standard output is closed.
pub fn line(line: impl std::fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Writes a JSON value on a line of its own.
///
/// # Errors
/// If standard output is closed.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string(value)?)?)
}
