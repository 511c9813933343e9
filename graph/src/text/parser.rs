//! The parser's token-level vocabulary; `grammar` says what a module is made of.

use std::collections::HashMap;
use std::str::FromStr;

use super::error::{ParseError, Span};
use super::lexer::{Kind, Token, lex};
use super::names::unquote;
use crate::{FuncId, TensorType};

/// Tokens, a place among them, and the names that references resolve to.
pub(super) struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Token>,
    next: usize,
    /// Byte offset at which each line starts.
    line_starts: Vec<usize>,
    /// The first function of each name, also those further down.
    functions: HashMap<String, FuncId>,
    /// First result type of the operation being parsed, if it has results.
    pub(super) first_result: Option<TensorType>,
}

impl<'s> Parser<'s> {
    pub(super) fn new(source: &'s str) -> Result<Self, ParseError> {
        let newlines = source.match_indices('\n').map(|(at, _)| at + 1);
        let mut parser = Self {
            source,
            tokens: lex(source)?,
            next: 0,
            line_starts: std::iter::once(0).chain(newlines).collect(),
            functions: HashMap::new(),
            first_result: None,
        };
        parser.index_functions();
        Ok(parser)
    }

    /// Functions may be referred to before they appear; that it is wrong is for the verifier to say.
    fn index_functions(&mut self) {
        let pairs = self.tokens.iter().zip(self.tokens.iter().skip(1));
        let names = pairs.filter(|(keyword, name)| {
            keyword.kind == Kind::Word && self.text(**keyword) == "func" && name.kind == Kind::Symbol
        });
        let names: Vec<Token> = names.map(|(_, name)| *name).collect();
        for (index, token) in names.into_iter().enumerate() {
            if let Ok(name) = self.symbol_name(token) {
                self.functions.entry(name).or_insert(FuncId::new(index));
            }
        }
    }

    pub(super) fn text(&self, token: Token) -> &'s str {
        self.source.get(token.span.start..token.span.end).unwrap_or_default()
    }

    /// The line of a token, from 1.
    pub(super) fn line(&self, token: Token) -> usize {
        self.line_starts.partition_point(|&start| start <= token.span.start)
    }

    pub(super) fn peek(&self) -> Token {
        self.token_at(self.next)
    }

    pub(super) fn peek_second(&self) -> Token {
        self.token_at(self.next + 1)
    }

    fn token_at(&self, index: usize) -> Token {
        let end = Token { kind: Kind::End, span: Span { start: self.source.len(), end: self.source.len() } };
        self.tokens.get(index).or(self.tokens.last()).copied().unwrap_or(end)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(super) fn is(&self, punct: char) -> bool {
        self.peek().kind == Kind::Punct(punct)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.peek().kind == Kind::Word && self.text(self.peek()) == word
    }

    pub(super) fn eat(&mut self, punct: char) -> bool {
        let found = self.is(punct);
        self.next += usize::from(found);
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, punct: char) -> Result<(), ParseError> {
        if self.eat(punct) { Ok(()) } else { Err(self.expected(&format!("`{punct}`"))) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.eat_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    pub(super) fn expect_kind(&mut self, kind: Kind, what: &str) -> Result<Token, ParseError> {
        if self.peek().kind == kind { Ok(self.advance()) } else { Err(self.expected(what)) }
    }

    pub(super) fn error(&self, token: Token, message: impl Into<String>) -> ParseError {
        ParseError::new(self.source, token.span, message)
    }

    /// An error at the token that was just read.
    pub(super) fn error_before(&self, message: impl Into<String>) -> ParseError {
        self.error(self.token_at(self.next.saturating_sub(1)), message)
    }

    /// An error at the next token: something else should stand there.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        let token = self.peek();
        let found = match token.kind {
            Kind::End => "the end of the text".to_string(),
            Kind::Word
            | Kind::Number
            | Kind::Quoted
            | Kind::Value
            | Kind::Symbol
            | Kind::Punct(_)
            | Kind::Arrow => {
                let text: String = self.text(token).chars().take(40).collect();
                format!("`{text}`")
            }
        };
        self.error(token, format!("expected {what}, found {found}"))
    }

    /// Comma-separated items between `open` and `close`.
    pub(super) fn list<T>(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(close) {
                return Ok(items);
            }
            if !self.eat(',') {
                return Err(self.expected(&format!("`,` or `{close}`")));
            }
        }
    }

    /// Calls `entry` after each key of a dictionary, if one stands here.
    pub(super) fn dictionary(
        &mut self,
        mut entry: impl FnMut(&mut Self, &str) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        if !self.is('{') {
            return Ok(());
        }
        self.list('{', '}', |p| {
            let key = p.expect_kind(Kind::Word, "an attribute")?;
            entry(p, p.text(key))
        })?;
        Ok(())
    }

    pub(super) fn number<T: FromStr>(&mut self, what: &str) -> Result<T, ParseError> {
        let token = self.peek();
        if token.kind != Kind::Number {
            return Err(self.expected(what));
        }
        let text = self.text(token);
        let number = text.parse().map_err(|_| self.error(token, format!("`{text}` is not {what}")))?;
        self.advance();
        Ok(number)
    }

    /// The value of one of several words.
    pub(super) fn one_of<T>(
        &mut self,
        what: &str,
        words: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Result<T, ParseError> {
        let mut names = Vec::new();
        for (name, value) in words {
            if self.eat_word(name) {
                return Ok(value);
            }
            names.push(name);
        }
        Err(self.expected(&format!("{what} ({})", names.join(", "))))
    }

    pub(super) fn quoted(&mut self) -> Result<String, ParseError> {
        let token = self.expect_kind(Kind::Quoted, "a string in quotes")?;
        self.unquoted(token, self.text(token))
    }

    pub(super) fn word_or_quoted(&mut self, what: &str) -> Result<String, ParseError> {
        if self.peek().kind == Kind::Quoted {
            return self.quoted();
        }
        let token = self.expect_kind(Kind::Word, what)?;
        Ok(self.text(token).to_string())
    }

    /// A name after `@`.
    pub(super) fn symbol(&mut self, what: &str) -> Result<String, ParseError> {
        let token = self.expect_kind(Kind::Symbol, what)?;
        self.symbol_name(token)
    }

    /// A reference to a function, by name or by number.
    pub(super) fn function_ref(&mut self) -> Result<FuncId, ParseError> {
        let token = self.expect_kind(Kind::Symbol, "a function such as `@main`")?;
        if let Some(index) = self.index_after(token, "@#")? {
            return Ok(FuncId::new(index));
        }
        let name = self.symbol_name(token)?;
        let id = self.functions.get(&name).copied();
        id.ok_or_else(|| self.error(token, format!("there is no function called `{name}`")))
    }

    /// The number of a token such as `%#7`; `None` if it is a name.
    pub(super) fn index_after(&self, token: Token, prefix: &str) -> Result<Option<usize>, ParseError> {
        let Some(digits) = self.text(token).strip_prefix(prefix) else { return Ok(None) };
        let index = digits.parse().map_err(|_| self.error(token, format!("`{digits}` is not a number")))?;
        Ok(Some(index))
    }

    fn symbol_name(&self, token: Token) -> Result<String, ParseError> {
        let name = self.text(token).trim_start_matches('@');
        if name.starts_with('#') {
            return Err(self.error(token, "a number refers to a function and names nothing"));
        }
        if name.starts_with('"') { self.unquoted(token, name) } else { Ok(name.to_string()) }
    }

    /// The string that `quoted`, the end of `token`, stands for.
    fn unquoted(&self, token: Token, quoted: &str) -> Result<String, ParseError> {
        unquote(quoted).map_err(|offset| {
            let start = token.span.end - quoted.len() + offset;
            let span = Span { start, end: start + 1 };
            ParseError::new(self.source, span, r#"unknown escape; known: \" \\ \n \r \t \u{...}"#)
        })
    }
}
