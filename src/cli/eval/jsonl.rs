//! JSON Lines: a value a line.

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;

/// A line's value, and what to call it where something is wrong with it.
pub struct Line<T> {
    /// `questions.jsonl, line 3`.
    pub place: String,
    /// The value.
    pub value: T,
}

/// The values of a file called `name`, or the first `limit` of them. Empty lines are passed over.
///
/// # Errors
/// If there are none, or one is malformed; which line and column.
pub fn parse<T: DeserializeOwned>(name: &str, text: &str, limit: Option<usize>) -> Result<Vec<Line<T>>> {
    let mut lines = Vec::new();
    let numbered = (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in numbered.take(limit.unwrap_or(usize::MAX)) {
        let place = format!("{name}, line {number}");
        match serde_json::from_str(line) {
            Ok(value) => lines.push(Line { place, value }),
            Err(error) => {
                // The parser has seen one line only, and says so in its message.
                let told = error.to_string();
                let problem = told.rsplit_once(" at line ").map_or(told.as_str(), |(problem, _)| problem);
                // Of a value that is wrong as a whole, it gives column 0.
                bail!("{place}, column {}: {problem}", error.column().max(1));
            }
        }
    }
    if lines.is_empty() {
        bail!("{name} is empty; give at least one line of JSON");
    }
    Ok(lines)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers() {
        let lines: Vec<Line<u32>> = parse("f", "1\n\n \r\n22\r\n3", None).unwrap();
        let found: Vec<_> = lines.iter().map(|line| (line.place.as_str(), line.value)).collect();
        assert_eq!(found, [("f, line 1", 1), ("f, line 4", 22), ("f, line 5", 3)]);
        // What is not asked for is not read.
        assert_eq!(parse::<u32>("f", "1\n\n2\nx", Some(2)).unwrap().len(), 2);
    }

    #[test]
    fn a_malformed_line_is_named() {
        let refused = |text| match parse::<u32>("f", text, None) {
            Ok(_) => panic!("{text}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(refused("1\n\nx"), "f, line 3, column 1: expected value");
        assert_eq!(refused("-1"), "f, line 1, column 2: invalid value: integer `-1`, expected u32");
        assert_eq!(refused("[1]"), "f, line 1, column 1: invalid type: sequence, expected u32");
        assert_eq!(refused(" \n\n"), "f is empty; give at least one line of JSON");
    }
}
