//! Why a conversation cannot be rendered.

use std::path::PathBuf;

use super::messages::Role;
use crate::gguf::GgufFileError;

/// Why a conversation cannot be read or rendered. Messages are counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The text is not JSON.
    #[error("the messages are not valid JSON")]
    Json(#[source] serde_json::Error),
    /// The JSON is neither of the two forms.
    #[error(
        "messages must be a list of {{\"role\", \"content\"}} or an object with such a list as `messages`; found {found}"
    )]
    NotMessages {
        /// The JSON found.
        found: String,
    },
    /// One message is malformed.
    #[error("message {index}: {problem}")]
    Message {
        /// Its place in the list.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing to answer.
    #[error("the conversation has no user message")]
    Empty,
    /// Roles do not alternate.
    #[error(
        "message {index} is from `{found}`, but `{expected}` is next: after an optional `system` message, \
         `user` and `assistant` alternate"
    )]
    Order {
        /// Its place in the list.
        index: usize,
        /// Whose it is.
        found: Role,
        /// Whose turn it is.
        expected: Role,
    },
    /// The model is to answer itself.
    #[error("message {index}, the last, is from `assistant`; a conversation to be answered ends with `user`")]
    NothingToAnswer {
        /// Its place in the list.
        index: usize,
    },
    /// The model is a GGUF file that cannot be used.
    #[error(transparent)]
    Gguf(#[from] GgufFileError),
    /// A template file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// `tokenizer_config.json` is malformed where its template is.
    #[error("{}: {problem}", path.display())]
    TokenizerConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The template has a syntax error.
    #[error("the chat template of {} cannot be parsed", path.display())]
    Syntax {
        /// The file it comes from.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: minijinja::Error,
    },
    /// The template failed, or refused the conversation.
    #[error("the chat template of {} failed", path.display())]
    Render {
        /// The file it comes from.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: minijinja::Error,
    },
}
