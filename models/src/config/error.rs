//! Why a config is refused.

use std::path::PathBuf;

use crate::gguf::GgufFileError;

/// Why a model's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A GGUF file that cannot be used.
    #[error(transparent)]
    Gguf(Box<GgufFileError>),
    /// A directory that is no model's.
    #[error("{} has no config.json; {}", directory.display(), instead(gguf_files))]
    NoConfig {
        /// The directory.
        directory: PathBuf,
        /// Names of the GGUF files in it, each of which would be a model.
        gguf_files: Vec<String>,
    },
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file's content was refused for the reason in `source`.
    #[error("{} does not describe a usable Gemma model", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: Box<ConfigError>,
    },
    /// Not JSON.
    #[error("not valid JSON")]
    Json(#[source] serde_json::Error),
    /// JSON, but not an object.
    #[error("expected a JSON object at the top, found {found}")]
    NotAnObject {
        /// The JSON type found.
        found: &'static str,
    },
    /// A field that has no default is absent.
    #[error("field `{field}` is missing")]
    Missing {
        /// The field's name in the file.
        field: &'static str,
    },
    /// A field holds the wrong kind of value.
    #[error("field `{field}` must be {expected}, found {found}")]
    Type {
        /// The field's name in the file.
        field: String,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A field's value lies outside what this implementation (or any sane model) allows.
    #[error("field `{field}` is {value}, but must be {expected}")]
    OutOfRange {
        /// The field's name in the file.
        field: &'static str,
        /// Its value.
        value: String,
        /// The permitted values.
        expected: String,
    },
    /// The file describes a model of another kind.
    #[error(
        "field `{field}` is {found}: not a Gemma 1 or Gemma 2 language model \
         (model_type `gemma` or `gemma2`)"
    )]
    Architecture {
        /// The field that says so.
        field: &'static str,
        /// Its value.
        found: String,
    },
    /// The file asks for a variation that is not implemented.
    #[error("field `{field}` is {value}: {reason}")]
    Unsupported {
        /// The field's name in the file.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// No config has this name.
    #[error("no config is named `{name}`{}; known: {}", did_you_mean(*suggestion), known.join(", "))]
    UnknownName {
        /// The name given.
        name: String,
        /// The nearest known name, when one is near.
        suggestion: Option<&'static str>,
        /// Every known name.
        known: Vec<&'static str>,
    },
}

fn instead(gguf_files: &[String]) -> String {
    match gguf_files {
        [] => "give the directory that holds config.json and the weights, or a GGUF file".into(),
        found => format!("give the path of a file in it: {}", found.join(", ")),
    }
}

impl From<GgufFileError> for ConfigError {
    fn from(error: GgufFileError) -> Self {
        Self::Gguf(Box::new(error))
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}
