//! Tokens of the text form.

use super::error::{ParseError, Span};
use super::names::{is_name_char, is_word_start};

/// What a token is; its text is a slice of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `add`, `f32`, `axes`, `_`.
    Word,
    /// `-1`, `2.5e-3`, `0x7fc0`, `-inf`.
    Number,
    /// `"text"`, with its quotes.
    Quoted,
    /// `%name`, or `%#7` for a value by number.
    Value,
    /// `@name` or `@"name"`, or `@#7` for a function by number.
    Symbol,
    /// One of `( ) [ ] { } , : =`.
    Punct(char),
    /// `->`.
    Arrow,
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// All tokens of `source`, the last of kind [`Kind::End`].
pub(super) fn lex(source: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    let mut end = 0;
    while let Some(token) = lexer.token()? {
        end = token.span.end;
        tokens.push(token);
    }
    // What is missing at the end is missing after the last token, not after the comments below it.
    tokens.push(Token { kind: Kind::End, span: Span { start: end, end } });
    Ok(tokens)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, mut accept: impl FnMut(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            self.skip_while(char::is_whitespace);
            if !self.rest().starts_with("//") {
                return;
            }
            self.skip_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<Option<Token>, ParseError> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let kind = match first {
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '=' => {
                self.at += first.len_utf8();
                Kind::Punct(first)
            }
            '-' if self.rest().starts_with("->") => {
                self.at += "->".len();
                Kind::Arrow
            }
            '-' | '0'..='9' => {
                self.number();
                Kind::Number
            }
            '"' => {
                self.quoted()?;
                Kind::Quoted
            }
            '%' | '@' => self.sigil(first)?,
            c if is_word_start(c) => {
                self.skip_while(is_name_char);
                Kind::Word
            }
            c => {
                let span = Span { start, end: start + c.len_utf8() };
                return Err(ParseError::new(self.source, span, format!("unexpected character {c:?}")));
            }
        };
        Ok(Some(Token { kind, span: Span { start, end: self.at } }))
    }

    /// Digits, letters, points, and the sign of an exponent; what they say is checked where the type is known.
    fn number(&mut self) {
        let hexadecimal = self.rest().starts_with("0x");
        let mut previous = None;
        self.skip_while(|c| {
            let sign = matches!(c, '+' | '-')
                && (previous.is_none() || matches!(previous, Some('e' | 'E')) && !hexadecimal);
            previous = Some(c);
            sign || c.is_ascii_alphanumeric() || c == '.'
        });
    }

    fn quoted(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + offset + 1;
                    return Ok(());
                }
                '\n' => break,
                '\\' => {
                    chars.next();
                }
                _ => {}
            }
        }
        let span = Span { start, end: start + 1 };
        Err(ParseError::new(self.source, span, "this string has no closing quote on its line"))
    }

    fn sigil(&mut self, sigil: char) -> Result<Kind, ParseError> {
        let start = self.at;
        self.at += sigil.len_utf8();
        if sigil == '@' && self.peek() == Some('"') {
            self.quoted()?;
            return Ok(Kind::Symbol);
        }
        if self.peek() == Some('#') {
            self.at += 1;
        }
        let name_start = self.at;
        self.skip_while(is_name_char);
        if self.at == name_start {
            let span = Span { start, end: self.at };
            return Err(ParseError::new(self.source, span, format!("expected a name after `{sigil}`")));
        }
        Ok(if sigil == '%' { Kind::Value } else { Kind::Symbol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        let tokens = lex(source).unwrap_or_default();
        tokens.iter().filter_map(|t| source.get(t.span.start..t.span.end)).filter(|s| !s.is_empty()).collect()
    }

    #[test]
    fn tokens_are_cut_where_they_end() {
        let source = r#"%v0: f32[2,-1] = add %a.b,%#7 {x = 1e-6} @"a b" // comment
            -> "q\"" -inf 0x1e-5 1.5E+3"#;
        let expected = [
            "%v0",
            ":",
            "f32",
            "[",
            "2",
            ",",
            "-1",
            "]",
            "=",
            "add",
            "%a.b",
            ",",
            "%#7",
            "{",
            "x",
            "=",
            "1e-6",
            "}",
            "@\"a b\"",
            "->",
            "\"q\\\"\"",
            "-inf",
            "0x1e",
            "-5",
            "1.5E+3",
        ];
        assert_eq!(texts(source), expected);
    }

    #[test]
    fn what_is_no_token_is_located() {
        for (source, column) in [("  ;", 3), ("\"open", 1), ("a @", 3), ("% b", 1), ("@# b", 1)] {
            let error = lex(source).err();
            assert_eq!(error.map(|e| e.column), Some(column), "{source}");
        }
    }
}
