//! Parse errors: what was expected, where, and the line it happened on with a caret.

use std::fmt;

/// Longest piece of a source line that an error shows, in characters.
const EXCERPT_WIDTH: usize = 100;

/// A range of bytes of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Text that is no module: what is wrong and where.
///
/// Its `Display` shows the source line with a caret under the place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line, or the part of a long line around the column.
    pub excerpt: String,
    /// Where in `excerpt` the marked text starts, in characters, from 0.
    pub mark_start: usize,
    /// How many characters are marked, at least 1.
    pub mark_len: usize,
}

impl ParseError {
    pub(super) fn new(source: &str, span: Span, message: impl Into<String>) -> Self {
        let before = source.get(..span.start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let column = before.get(line_start..).map_or(0, |s| s.chars().count());
        let marked = source.get(span.start..span.end).and_then(|s| s.lines().next()).unwrap_or_default();

        // A window of the line that holds the column, a third of it before.
        let first = if line_text.chars().count() <= EXCERPT_WIDTH {
            0
        } else {
            column.saturating_sub(EXCERPT_WIDTH / 3)
        };
        let excerpt: String = line_text
            .chars()
            .skip(first)
            .take(EXCERPT_WIDTH)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mark_start = column - first;
        let room = EXCERPT_WIDTH.saturating_sub(mark_start).max(1);
        Self {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt,
            mark_start,
            mark_len: marked.chars().count().clamp(1, room),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.to_string();
        let gutter = " ".repeat(line.len());
        writeln!(f, "{}", self.message)?;
        writeln!(f, "{gutter}--> line {line}, column {}", self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{}", format!("{line} | {}", self.excerpt).trim_end())?;
        write!(f, "{gutter} | {}{}", " ".repeat(self.mark_start), "^".repeat(self.mark_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let source = "one\ntwo thrée four\n";
        let start = source.find("four").unwrap_or_default();
        let error = ParseError::new(source, Span { start, end: start + 4 }, "wrong");
        let shown = "wrong\n --> line 2, column 11\n  |\n2 | two thrée four\n  |           ^^^^";
        assert_eq!(error.to_string(), shown);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source = format!("{}!{}", "x".repeat(5000), "y".repeat(5000));
        let error = ParseError::new(&source, Span { start: 5000, end: 5001 }, "wrong");
        assert_eq!(error.column, 5001);
        assert_eq!(error.excerpt.chars().nth(error.mark_start), Some('!'));
        assert_eq!(error.excerpt.chars().count(), EXCERPT_WIDTH);
    }

    #[test]
    fn the_end_of_the_text_has_a_place() {
        for source in ["", "a", "a\n"] {
            let end = source.len();
            let error = ParseError::new(source, Span { start: end, end }, "wrong");
            assert!(error.to_string().ends_with('^'));
        }
    }
}
