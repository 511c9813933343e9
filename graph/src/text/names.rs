//! Names and strings: when a name stands bare, when it is quoted, and how quotes escape.

use std::fmt::{self, Write};

/// Whether `c` may stand in an unquoted name.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}

/// Whether an unquoted word may start with `c`; names behind a sigil (`@7`) may start with any name character.
pub(super) fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// A letter or `_`, then letters, digits, `_`, `.` and `$`: a bare word in the text form and in MLIR alike.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(is_word_start) && name.chars().all(is_name_char)
}

/// A string in quotes.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// An attribute key or a logical axis: bare where that is unambiguous (`_` means "no name"), else quoted.
pub(super) struct Word<'a>(pub(super) &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.0 != "_" && is_identifier(self.0);
        if bare { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

/// A module, function or scope name with its `@`.
pub(super) struct Symbol<'a>(pub(super) &'a str);

impl fmt::Display for Symbol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('@')?;
        let bare = !self.0.is_empty() && self.0.chars().all(is_name_char);
        if bare { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

/// The string that `quoted` (with its quotes) stands for, or the byte offset of a wrong escape in it.
pub(super) fn unquote(quoted: &str) -> Result<String, usize> {
    let inner = quoted.strip_prefix('"').and_then(|s| s.strip_suffix('"')).ok_or(0usize)?;
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escape = chars.next().map(|(_, c)| c);
        text.push(match escape {
            Some('"') => '"',
            Some('\\') => '\\',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let rest = chars.as_str();
                let digits = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map(|(digits, _)| digits);
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let decoded = code.and_then(char::from_u32).ok_or(at + 1)?;
                // The digits and both braces, all ASCII.
                for _ in 0..digits.map_or(0, str::len) + 2 {
                    chars.next();
                }
                decoded
            }
            _ => return Err(at + 1),
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_quoting() {
        for s in ["", "plain", "a \"b\" \\ c", "line\nbreak\ttab\r", "\u{0}\u{7f}\u{85}", "Ünïcode 漢字 🦀"]
        {
            assert_eq!(unquote(&Quoted(s).to_string()).as_deref(), Ok(s));
        }
    }

    #[test]
    fn names_are_quoted_only_where_they_must_be() {
        assert_eq!(Word("head_dim").to_string(), "head_dim");
        assert_eq!(Word("_").to_string(), "\"_\"");
        assert_eq!(Word("2d").to_string(), "\"2d\"");
        assert_eq!(Symbol("layers.0.mlp").to_string(), "@layers.0.mlp");
        assert_eq!(Symbol("7").to_string(), "@7");
        assert_eq!(Symbol("").to_string(), "@\"\"");
        assert_eq!(Symbol("a b").to_string(), "@\"a b\"");
    }

    #[test]
    fn wrong_escapes_are_located() {
        assert_eq!(unquote(r#""ab\q""#), Err(3));
        assert_eq!(unquote(r#""\u{d800}""#), Err(1));
        assert_eq!(unquote(r#""\u{""#), Err(1));
        assert_eq!(unquote("\"open"), Err(0));
    }
}
