//! Why a checkpoint is refused.

use std::fmt;
use std::path::PathBuf;

use super::header::HeaderError;
use super::index::IndexError;
use crate::config::ConfigError;
use crate::encoding::{Encoding, StorageProblem};
use crate::gguf::GgufFileError;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// `config.json` or `generation_config.json` is missing or unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A GGUF file that cannot be used.
    #[error(transparent)]
    Gguf(#[from] GgufFileError),
    /// A directory without weights in it.
    #[error(
        "{} holds neither model.safetensors nor model.safetensors.index.json{}",
        directory.display(), other_weights(found)
    )]
    NoWeights {
        /// The model directory.
        directory: PathBuf,
        /// Weight files of other kinds that it does hold.
        found: Vec<String>,
    },
    /// A file could not be read or mapped.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The index names a file that is not there.
    #[error(
        "{} names {}, which is not there (it would hold `{tensor}`); is the download complete?",
        index.display(), file.display()
    )]
    MissingShard {
        /// The index.
        index: PathBuf,
        /// The absent file.
        file: PathBuf,
        /// The first tensor mapped to it.
        tensor: String,
    },
    /// A safetensors file is damaged.
    #[error("{} is not a sound safetensors file", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// `model.safetensors.index.json` is damaged.
    #[error("{} is not a sound index", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: IndexError,
    },
    /// The tensors are not those that the config calls for.
    #[error("{} does not hold the weights its config.json describes:{problems}", directory.display())]
    Tensors {
        /// The model directory.
        directory: PathBuf,
        /// Every difference.
        problems: TensorProblems,
    },
    /// `lm_head.weight` is stored and differs from the embedding.
    #[error(
        "{}: `lm_head.weight` differs from `model.embed_tokens.weight`; Gemma projects to the logits with its \
         embedding, so a checkpoint with another projection cannot be run faithfully",
        file.display()
    )]
    UntiedHead {
        /// The file that holds `lm_head.weight`.
        file: PathBuf,
    },
}

fn other_weights(found: &[String]) -> String {
    match found {
        [] => "; is the download complete?".into(),
        found if found.iter().any(|name| name.ends_with(".gguf")) => {
            format!(" (found {}; a GGUF file is a model by itself: give its path)", found.join(", "))
        }
        found => format!(" (found {}; convert the weights to safetensors first)", found.join(", ")),
    }
}

/// Differences between the tensors of a checkpoint and those its config calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorProblems(pub Vec<TensorProblem>);

/// One such difference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    /// The config calls for a tensor that no file holds.
    #[error("missing `{name}` of shape {expected:?}")]
    Missing {
        /// The tensor.
        name: String,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A file holds a tensor that the config has no place for.
    #[error("unexpected `{name}` of shape {found:?} in {}", file.display())]
    Extra {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The file.
        file: PathBuf,
    },
    /// A tensor has another shape than the config calls for.
    #[error("`{name}` in {} has shape {found:?}, expected {expected:?}", file.display())]
    Shape {
        /// The tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A tensor is not what the codes of a weight, or their scales, are.
    #[error("{problem}, in {}", file.display())]
    Storage {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        problem: StorageProblem,
    },
    /// A weight is not stored as `config.json` says.
    #[error(
        "`{name}` in {} is {found}, but {declared} by the `quantization_config` of config.json; one of them is of \
         another checkpoint",
        file.display()
    )]
    Contradiction {
        /// The weight.
        name: String,
        /// The file.
        file: PathBuf,
        /// How it is stored.
        found: Encoding,
        /// How the config says that it is.
        declared: Encoding,
    },
    /// A tensor of a way of encoding that is not supported.
    #[error("`{name}` in {}: {reason}", file.display())]
    Unsupported {
        /// The tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// What it stands for, and what is supported.
        reason: &'static str,
    },
    /// Two files hold a tensor of one name.
    #[error("`{name}` is both in {} and in {}", first.display(), second.display())]
    Duplicate {
        /// The tensor.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The index maps a tensor to a file that does not hold it.
    #[error("the index says `{name}` is in {}, which does not hold it", file.display())]
    NotInShard {
        /// The tensor.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// A shard holds a tensor that the index does not list.
    #[error("`{name}` in {} is not listed in the index", file.display())]
    NotInIndex {
        /// The tensor.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for TensorProblems {
    /// One line each, the first dozen; a checkpoint of the wrong size differs in hundreds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        for problem in self.0.iter().take(SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
