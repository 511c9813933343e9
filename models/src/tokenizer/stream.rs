//! Decoding ids as they come.

use super::{Tokenizer, TokenizerError};

/// Turns ids into text one at a time. The pieces it returns, joined, are exactly what
/// [`Tokenizer::decode`] makes of all ids at once; text is held back while a later id could still change it.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The ids last returned as text, then those held back. The former are decoded again as context, since
    /// what precedes a piece may change its spacing.
    window: Vec<u32>,
    /// How many ids of the window have been returned.
    returned: usize,
}

impl<'a> TextStream<'a> {
    pub(super) const fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, window: Vec::new(), returned: 0 }
    }

    /// Takes the next id and returns the text that has become certain, often none.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn push(&mut self, id: u32) -> Result<String, TokenizerError> {
        // Decoding drops special tokens (and ids without one) before it joins the rest, so bytes on both sides
        // of one join too.
        if self.tokenizer.is_special(id) || self.tokenizer.piece(id).is_none() {
            return Ok(String::new());
        }
        self.window.push(id);
        // Bytes decode together with all bytes around them: one that is not UTF-8 spoils its whole run.
        if self.tokenizer.is_byte_piece(id) {
            return Ok(String::new());
        }
        self.advance(!self.tokenizer.has_byte_pieces)
    }

    /// Ends the sequence and returns what was held back.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn finish(mut self) -> Result<String, TokenizerError> {
        self.advance(false)
    }

    /// Returns the text of what is held back, unless it may end inside a character.
    fn advance(&mut self, may_be_partial: bool) -> Result<String, TokenizerError> {
        let context = self.window.get(..self.returned).unwrap_or_default();
        let known = self.tokenizer.decode(context)?;
        let text = self.tokenizer.decode(&self.window)?;
        // Without byte pieces, tokens are themselves bytes, and an unfinished character shows as U+FFFD.
        if may_be_partial && text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        self.window.drain(..self.returned);
        self.returned = self.window.len();
        Ok(text.strip_prefix(known.as_str()).unwrap_or(&text).to_owned())
    }
}
