//! A place in a text, and what can be read from there.

use std::borrow::Cow;

use crate::error::ReadError;

/// Longest piece of the text that an error quotes.
const QUOTED: usize = 40;

/// Reads a text from the front. White space and comments between tokens are skipped.
#[derive(Clone)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    position: usize,
    /// Line of the last position asked for, so that lines are counted once.
    line: (usize, usize),
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str, first_line: usize) -> Self {
        Self { text, position: 0, line: (0, first_line) }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    /// Line of the next token, counted from 1.
    pub(super) fn line(&mut self) -> usize {
        self.skip_trivia();
        let (from, line) = self.line;
        let passed = self.text.get(from..self.position).unwrap_or("");
        self.line = (self.position, line + passed.matches('\n').count());
        self.line.1
    }

    fn skip_trivia(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.position += rest.len() - trimmed.len();
            let comment = if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else {
                return;
            };
            self.position += comment;
        }
    }

    /// The next character that is not white space or in a comment.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip_trivia();
        self.rest().chars().next()
    }

    /// The character right here.
    pub(super) fn adjacent(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether `token` stands next.
    pub(super) fn sees(&mut self, token: &str) -> bool {
        self.skip_trivia();
        self.rest().starts_with(token)
    }

    /// Takes `token` if it stands next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.sees(token);
        if found {
            self.position += token.len();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str, meaning: &str) -> Result<(), ReadError> {
        match self.eat(token) {
            true => Ok(()),
            false => Err(self.expected(format!("`{token}` {meaning}"))),
        }
    }

    pub(super) fn skip_line(&mut self) {
        let rest = self.rest();
        self.position += rest.find('\n').map_or(rest.len(), |end| end + 1);
    }

    fn take(&mut self, length: usize) -> &'t str {
        let taken = self.rest().get(..length).unwrap_or("");
        self.position += taken.len();
        taken
    }

    /// A name or keyword; empty if none stands next.
    pub(super) fn word(&mut self) -> &'t str {
        self.skip_trivia();
        let rest = self.rest();
        let is_part = |(at, c): (usize, char)| {
            // The arrow of a signature is no part of the name before it.
            let arrow = c == '-' && rest.get(at + 1..).is_some_and(|after| after.starts_with('>'));
            (c.is_alphanumeric() || "_.-@$".contains(c)) && !arrow
        };
        let length = rest.char_indices().find(|&part| !is_part(part)).map_or(rest.len(), |(at, _)| at);
        self.take(length)
    }

    /// A name, perhaps after `%`.
    pub(super) fn name(&mut self, what: &str) -> Result<&'t str, ReadError> {
        let at = self.clone();
        self.eat("%");
        match self.word() {
            "" => Err(at.clone().expected(what)),
            name => Ok(name),
        }
    }

    pub(super) fn integer<N: std::str::FromStr>(&mut self, what: &str) -> Result<N, ReadError> {
        self.skip_trivia();
        let rest = self.rest();
        let sign = usize::from(rest.starts_with('-'));
        let digits = rest.get(sign..).unwrap_or("").bytes().take_while(u8::is_ascii_digit).count();
        let at = self.clone();
        self.take(sign + digits).parse().map_err(|_| at.clone().expected(what))
    }

    /// Text up to a comma or closing bracket outside of brackets and quotes, or to the end of the line there.
    pub(super) fn value(&mut self, what: &str) -> Result<&'t str, ReadError> {
        self.skip_trivia();
        let rest = self.rest();
        let mut closing = Vec::new();
        let mut quoted = false;
        let mut escaped = false;
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            if quoted {
                quoted = escaped || c != '"';
                escaped = c == '\\' && !escaped;
                continue;
            }
            match c {
                '"' => quoted = true,
                '{' => closing.push('}'),
                '[' => closing.push(']'),
                '(' => closing.push(')'),
                ',' | '\n' if closing.is_empty() => {
                    end = at;
                    break;
                }
                '}' | ']' | ')' => match closing.pop() {
                    Some(expected) if expected == c => {}
                    Some(expected) => {
                        self.position += at;
                        return Err(self.expected(format!("`{expected}` to close a bracket of {what}")));
                    }
                    None => {
                        end = at;
                        break;
                    }
                },
                _ => {}
            }
        }
        match (quoted, closing.last()) {
            (true, _) => Err(self.expected(format!("{what} with a closing quote"))),
            (false, Some(bracket)) => Err(self.expected(format!("{what} with a closing `{bracket}`"))),
            (false, None) => Ok(self.take(end).trim_end()),
        }
    }

    /// Text between `(` and the `)` that belongs to it.
    pub(super) fn parenthesized(&mut self, what: &str) -> Result<&'t str, ReadError> {
        self.bracketed("(", ")", what)
    }

    /// Text between an opening bracket and the closing one that belongs to it.
    pub(super) fn bracketed(&mut self, open: &str, close: &str, what: &str) -> Result<&'t str, ReadError> {
        self.expect(open, what)?;
        let start = self.position;
        loop {
            self.value(what)?;
            if self.eat(close) {
                return Ok(self.text.get(start..self.position - close.len()).unwrap_or("").trim());
            }
            if !self.eat(",") && self.peek().is_none_or(|c| "}])".contains(c)) {
                return Err(self.expected(format!("`{close}` {what}")));
            }
        }
    }

    /// A string in quotes, its escapes resolved, or a word.
    pub(super) fn string_or_word(&mut self) -> Cow<'t, str> {
        if !self.eat("\"") {
            return Cow::Borrowed(self.word());
        }
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().find(|&(_, c)| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let quoted = self.take(end.map_or(rest.len(), |(at, _)| at));
        self.eat("\"");
        unescaped(quoted)
    }

    /// A cursor over a piece of this text that was taken on the line of the last [`Cursor::line`].
    pub(super) fn within(&self, piece: &'t str) -> Self {
        Self::new(piece, self.line.1)
    }

    /// Fails unless nothing is left.
    pub(super) fn end(&mut self, what: &str) -> Result<(), ReadError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected(format!("the end of {what}"))),
        }
    }

    /// The error that something else was expected here.
    pub(super) fn expected(&mut self, expected: impl Into<String>) -> ReadError {
        let line = self.line();
        let rest = self.rest().lines().next().unwrap_or("");
        let quoted: String = rest.chars().take(QUOTED).collect();
        let found = match (quoted.is_empty(), quoted.len() < rest.len()) {
            (true, _) => "the end".to_string(),
            (false, true) => format!("`{quoted}...`"),
            (false, false) => format!("`{quoted}`"),
        };
        ReadError::Syntax { line, expected: expected.into(), found }
    }
}

/// Text with C's escapes of quotes, backslashes, tabs and line ends resolved. Others, which stand for bytes that no
/// name has, stay as they are.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, characters.as_str().chars().next()) {
            ('\\', Some(escaped @ ('"' | '\'' | '\\' | 'n' | 't'))) => {
                characters.next();
                plain.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            }
            _ => plain.push(c),
        }
    }
    Cow::Owned(plain)
}
