//! Results on standard output, where a closed pipe is an error and not a panic.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// Writes a model's text and hands it on at once, so that it streams. A terminal is spared control
/// characters: no model is to move the cursor or retitle the window.
///
/// # Errors
/// If standard output is closed, or is a file on a full disk.
pub fn text(text: &str) -> io::Result<()> {
    let text = if io::stdout().is_terminal() { harmless(text) } else { Cow::Borrowed(text) };
    write(format_args!("{text}"))
}

/// `text` with U+FFFD for control characters other than line breaks and tabs.
fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(harmful, "\u{fffd}"))
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

/// A path in JSON, for `serialize_with`. JSON is UTF-8 and paths need not be: U+FFFD stands for what is not, as in
/// messages.
///
/// # Errors
/// The serializer's.
pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// As [`path`], or null.
///
/// # Errors
/// The serializer's.
pub fn path_if_any<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(harmless("a\tb\nc é"), "a\tb\nc é");
        assert_eq!(harmless("\u{1b}[2Jx\r\u{7}\u{9b}y"), "\u{fffd}[2Jx\u{fffd}\u{fffd}\u{fffd}y");
    }
}
