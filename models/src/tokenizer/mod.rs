//! Text to token ids and back, as `tokenizer.json` says, or the vocabulary in a GGUF file.

mod error;
mod file;
mod stream;
mod synthetic;

pub use error::TokenizerError;
pub use stream::TextStream;
pub use synthetic::{synthetic_tokenizer_config_json, synthetic_tokenizer_json};

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::config::GemmaConfig;
use crate::files;
use crate::gguf::{self, Gguf};
use file::TokenizerFile;

/// Spelling of the piece that stands for byte 0 where unknown characters fall back to bytes.
const FIRST_BYTE_PIECE: &str = "<0x00>";

/// A model's tokenizer, checked against its config.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: u32,
    bos_text: String,
    /// Ids that decoding leaves out: `<bos>`, `<end_of_turn>` and the like.
    special_ids: HashSet<u32>,
    has_byte_pieces: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json` in a model directory, or the vocabulary in a GGUF file.
    ///
    /// # Errors
    /// [`TokenizerError::Missing`] when there is none; otherwise as [`Tokenizer::from_json`].
    pub fn open(model: &Path, config: &GemmaConfig) -> Result<Self, TokenizerError> {
        if gguf::is_gguf(model) {
            return Self::checked(model, Gguf::open(model)?.tokenizer()?, config);
        }
        let path = model.join(files::TOKENIZER);
        match std::fs::read(&path) {
            Ok(json) => Self::from_json(&path, &json, config),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(TokenizerError::Missing { directory: model.to_owned() })
            }
            Err(source) => Err(TokenizerError::Read { path, source }),
        }
    }

    /// Reads the text of a `tokenizer.json`; `path` is for messages.
    ///
    /// # Errors
    /// [`TokenizerError`] when the text is malformed, or when it has ids that the model's embedding does not, or
    /// not the one that begins every sequence.
    pub fn from_json(path: &Path, json: &[u8], config: &GemmaConfig) -> Result<Self, TokenizerError> {
        let malformed = |source| TokenizerError::Malformed { path: path.to_owned(), source };
        let file = TokenizerFile::from_json(json).map_err(|error| malformed(error.into()))?;
        if let Some(feature) = file.foreign_feature() {
            return Err(TokenizerError::ForeignFeature { path: path.to_owned(), feature });
        }
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(malformed)?;
        // A file may have been saved with the settings of some training run.
        inner.with_truncation(None).map_err(malformed)?;
        inner.with_padding(None);
        Self::checked(path, inner, config)
    }

    /// The tokenizer `inner` of the file at `path`, which must be that of a model of `config`.
    fn checked(
        path: &Path,
        inner: tokenizers::Tokenizer,
        config: &GemmaConfig,
    ) -> Result<Self, TokenizerError> {
        if let Some((id, token)) = beyond(&inner, config.vocab_size) {
            let vocab_size = config.vocab_size;
            return Err(TokenizerError::VocabTooLarge { path: path.to_owned(), token, id, vocab_size });
        }
        let bos = config.bos_token_id;
        let bos_text = inner
            .id_to_token(bos)
            .ok_or_else(|| TokenizerError::NoBos { path: PathBuf::from(path), id: bos })?;
        let added = inner.get_added_tokens_decoder();
        let special_ids = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        let has_byte_pieces = inner.token_to_id(FIRST_BYTE_PIECE).is_some();
        Ok(Self { inner, bos, bos_text, special_ids, has_byte_pieces })
    }

    /// The ids of `text` as the model is fed it: `<bos>` first, exactly once, whether or not `text` (a rendered
    /// chat template) spells it out or the file asks for it. Special tokens that `text` spells out are
    /// recognized.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        // The file's own post-processor may or may not add <bos>, so it is not asked to.
        let encoding = self.inner.encode_fast(text, false).map_err(TokenizerError::Encode)?;
        let ids = encoding.get_ids();
        let missing_bos = (ids.first() != Some(&self.bos)).then_some(self.bos);
        Ok(missing_bos.into_iter().chain(ids.iter().copied()).collect())
    }

    /// The text of `ids`, special tokens left out. Bytes that are not UTF-8 become U+FFFD, and ids without a
    /// token nothing.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids, true).map_err(TokenizerError::Decode)
    }

    /// Decodes ids one at a time, as they are generated.
    pub const fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    /// The piece that `id` stands for, as the vocabulary spells it (`▁the`, `<0x0A>`).
    pub fn piece(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a piece, by the vocabulary's spelling.
    pub fn id_of(&self, piece: &str) -> Option<u32> {
        self.inner.token_to_id(piece)
    }

    /// How the vocabulary spells the token that begins every sequence.
    pub fn bos_text(&self) -> &str {
        &self.bos_text
    }

    /// Number of tokens.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// Whether `id` is one byte of a character that has no token of its own.
    fn is_byte_piece(&self, id: u32) -> bool {
        self.has_byte_pieces
            && self.inner.id_to_token(id).is_some_and(|piece| {
                let digits = piece.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
            })
    }
}

/// The token with the largest id, if a model of `vocab_size` ids lacks that. The vocabulary, which can only be had as a copy, is
/// asked for no more than must be: this is a part of every start.
fn beyond(tokenizer: &tokenizers::Tokenizer, vocab_size: usize) -> Option<(u32, String)> {
    let ids = 0..u32::try_from(vocab_size).unwrap_or(u32::MAX);
    let known = ids.filter(|&id| tokenizer.id_to_token(id).is_some()).count();
    if known == tokenizer.get_vocab_size(true) {
        return None;
    }
    // Some are beyond, or some are spelled in two ways.
    let largest = tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).max();
    largest.filter(|&(id, _)| id as usize >= vocab_size)
}

#[cfg(test)]
mod tests;
