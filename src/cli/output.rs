//! Results on standard output, where a closed pipe is an error and not a panic.

use std::io::{self, Write};

use serde::Serialize;

/// Writes text and hands it on at once, so that it streams.
///
/// # Errors
/// If standard output is closed, or is a file on a full disk.
pub fn text(text: &str) -> io::Result<()> {
    write(format_args!("{text}"))
}

/// Writes a line.
///
/// # Errors
/// If standard output is closed, or is a file on a full disk.
pub fn line(line: impl std::fmt::Display) -> io::Result<()> {
    write(format_args!("{line}\n"))
}

fn write(text: std::fmt::Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}"));
    stdout.write_fmt(text).and_then(|()| stdout.flush()).map_err(failed)
}

/// Writes a JSON value on a line of its own.
///
/// # Errors
/// If standard output is closed, or is a file on a full disk.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string(value)?)?)
}
