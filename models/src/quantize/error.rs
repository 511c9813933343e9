//! Why weights are not quantized.

use std::io;
use std::path::PathBuf;

use super::pattern::Pattern;
use crate::progress::Cancelled;
use crate::writing::WriteError;

/// Why no quantized checkpoint was made. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// A pattern is of no use.
    #[error(
        "no weight that can be quantized is called `{pattern}`; there are, among others, {}",
        near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    )]
    UnmatchedPattern {
        /// The pattern.
        pattern: Pattern,
        /// Names that there are.
        near: Vec<String>,
    },
    /// Groups of this size do not fit.
    #[error(
        "`{tensor}` has {inputs} inputs, which cannot be divided into groups of {group}; choose another --group, or \
         leave the weight out with --keep"
    )]
    Group {
        /// The weight.
        tensor: String,
        /// Its inputs.
        inputs: usize,
        /// The size asked for.
        group: usize,
    },
    /// Words of eight codes do not fit.
    #[error(
        "`{tensor}` has {inputs} inputs, which are not packed into words of 8 codes of 4 bits; store it in 8 bits with \
         --int8, or leave it out with --keep"
    )]
    Packing {
        /// The weight.
        tensor: String,
        /// Its inputs.
        inputs: usize,
    },
    /// The model is a GGUF file.
    #[error(
        "{} is a GGUF file, whose weights run as they are; start from the model directory as it was published",
        model.display()
    )]
    Gguf {
        /// The file.
        model: PathBuf,
    },
    /// The weights are codes already.
    #[error("{}: `{tensor}` is quantized already; start from the model as it was published", model.display())]
    AlreadyQuantized {
        /// The model.
        model: PathBuf,
        /// The first such weight.
        tensor: String,
    },
    /// A weight that no code stands for.
    #[error(
        "`{tensor}` in {} holds {value} at {position:?}; the file is damaged, or the model's training diverged \
         (`lapidary score --check` lists every such weight)",
        file.display()
    )]
    NonFinite {
        /// The tensor.
        tensor: String,
        /// The file that holds it.
        file: PathBuf,
        /// Where in the tensor the weight is.
        position: Vec<usize>,
        /// The weight.
        value: f32,
    },
    /// The model would be replaced by its approximation.
    #[error("{} is the model itself; choose another directory, so that its weights are not lost", directory.display())]
    SameDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// A file of the model could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The model's config is not a JSON object.
    #[error("{} is not a JSON object", path.display())]
    Config {
        /// The file.
        path: PathBuf,
    },
    /// The directory cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The progress callback said to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
