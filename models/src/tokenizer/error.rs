//! Why a tokenizer cannot be used.

use std::path::PathBuf;

use crate::gguf::GgufFileError;

/// Why a tokenizer cannot be used, or a text not be tokenized.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The model has no tokenizer.
    #[error(
        "{} has no tokenizer.json, so text cannot be read or written; give token ids instead (--token-ids)",
        directory.display()
    )]
    Missing {
        /// The model directory.
        directory: PathBuf,
    },
    /// The model is a GGUF file without a vocabulary that can be used.
    #[error("the model's file yields no tokenizer; give token ids instead of text (--token-ids)")]
    Gguf(#[from] GgufFileError),
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a tokenizer.
    #[error("{} is not a tokenizer in Hugging Face's format", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: tokenizers::Error,
    },
    /// The file is of a kind that no Gemma has.
    #[error("{} uses {feature}, which Gemma's tokenizers do not", path.display())]
    ForeignFeature {
        /// The file.
        path: PathBuf,
        /// What it uses.
        feature: &'static str,
    },
    /// The tokenizer belongs to a larger model.
    #[error(
        "{} has token `{token}` with id {id}, but the model has only {vocab_size} ids; \
         the tokenizer belongs to another model",
        path.display()
    )]
    VocabTooLarge {
        /// The file.
        path: PathBuf,
        /// Its last token.
        token: String,
        /// That token's id.
        id: u32,
        /// `vocab_size` of the config.
        vocab_size: usize,
    },
    /// The token that must begin every sequence is not in the vocabulary.
    #[error("{} has no token with id {id}, which the config calls bos_token_id", path.display())]
    NoBos {
        /// The file.
        path: PathBuf,
        /// `bos_token_id` of the config.
        id: u32,
    },
    /// The text could not be tokenized.
    #[error("cannot tokenize the text")]
    Encode(#[source] tokenizers::Error),
    /// The ids could not be turned into text.
    #[error("cannot decode the token ids")]
    Decode(#[source] tokenizers::Error),
}
