//! Why a GGUF file is refused. Offsets are in bytes from the start of the file.

use std::fmt;
use std::path::PathBuf;

use super::tensor_type::readable_names;
use crate::config::ConfigError;

/// What was being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file's first bytes.
    Header,
    /// The metadata pair of this number, before its name is known.
    PairNumber(usize),
    /// The value of a key.
    Key(String),
    /// The description of the tensor of this number, before its name is known.
    TensorNumber(usize),
    /// The description of a tensor.
    Tensor(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the header"),
            Self::PairNumber(index) => write!(f, "the name of key {index}"),
            Self::Key(key) => write!(f, "key `{key}`"),
            Self::TensorNumber(index) => write!(f, "the name of tensor {index}"),
            Self::Tensor(tensor) => write!(f, "tensor `{tensor}`"),
        }
    }
}

/// Why a GGUF file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file ends too early.
    #[error(
        "{place} needs {needed} bytes at byte {offset}, but only {left} are left; is the file truncated?"
    )]
    Truncated {
        /// What was being read.
        place: Place,
        /// Where.
        offset: usize,
        /// Bytes that were called for.
        needed: u64,
        /// Bytes left in the file.
        left: usize,
    },
    /// Another kind of file.
    #[error("it begins with {found:?}, not with \"GGUF\"")]
    Magic {
        /// Its first four bytes, as text.
        found: String,
    },
    /// A version of the format that is not read.
    #[error("it has version {version} of the format; versions 2 and 3 are read")]
    Version {
        /// The version.
        version: u32,
    },
    /// A file for machines with the other byte order.
    #[error("it is a big-endian file; only little-endian ones are read")]
    BigEndian,
    /// More keys, tensors or elements than the rest of the file has room for.
    #[error("{place} claims {count} {what} at byte {offset}, but only {left} bytes follow")]
    Count {
        /// What was being read.
        place: Place,
        /// Where the count is.
        offset: usize,
        /// What is counted.
        what: &'static str,
        /// The count.
        count: u64,
        /// Bytes left in the file.
        left: usize,
    },
    /// A string that is not text.
    #[error("{place}: the string at byte {offset} is not UTF-8")]
    Utf8 {
        /// What was being read.
        place: Place,
        /// Where the string is.
        offset: usize,
    },
    /// A name longer than the format allows.
    #[error("{place} is {len} bytes long at byte {offset}; the format allows 65535")]
    LongName {
        /// What was being read.
        place: Place,
        /// Where the name is.
        offset: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// A metadata value of a type that the format does not have.
    #[error("{place} has a value of type {id} at byte {offset}, which the format does not have")]
    ValueType {
        /// What was being read.
        place: Place,
        /// Where the type is.
        offset: usize,
        /// The type's number.
        id: u32,
    },
    /// Arrays of arrays of arrays ...
    #[error("{place} nests arrays too deep at byte {offset}")]
    Nesting {
        /// What was being read.
        place: Place,
        /// Where.
        offset: usize,
    },
    /// Two keys of one name, or two tensors.
    #[error("{place} appears twice")]
    Duplicate {
        /// What appears twice.
        place: Place,
    },
    /// A tensor with more dimensions than the format allows.
    #[error("tensor `{tensor}` has {count} dimensions; the format allows 4")]
    Rank {
        /// The tensor.
        tensor: String,
        /// How many dimensions.
        count: u32,
    },
    /// A tensor without elements, of which no model has any.
    #[error("tensor `{tensor}` of shape {dims:?} has no elements")]
    Empty {
        /// The tensor.
        tensor: String,
        /// Its shape as the file has it, fastest dimension first.
        dims: Vec<u64>,
    },
    /// A tensor of a type that is not read.
    #[error("tensor `{tensor}` is {found}, which is not read; what is read: {}", readable_names())]
    TensorType {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// Rows that are no whole number of blocks.
    #[error("tensor `{tensor}` has rows of {row} elements, which are no whole blocks of {block} ({kind})")]
    Rows {
        /// The tensor.
        tensor: String,
        /// Elements in a row.
        row: u64,
        /// Its type.
        kind: &'static str,
        /// Elements in a block of that type.
        block: usize,
    },
    /// A tensor that does not begin at a multiple of the file's alignment.
    #[error(
        "tensor `{tensor}` begins at byte {offset} of the data, no multiple of the alignment {alignment}"
    )]
    Unaligned {
        /// The tensor.
        tensor: String,
        /// Its first byte, from the start of the data.
        offset: u64,
        /// `general.alignment`.
        alignment: u64,
    },
    /// A tensor that lies, at least partly, outside the file.
    #[error(
        "tensor `{tensor}` of shape {dims:?} begins at byte {offset} of {data_len} bytes of data and does not fit; \
         is the file truncated?"
    )]
    OutOfFile {
        /// The tensor.
        tensor: String,
        /// Its shape as the file has it, fastest dimension first.
        dims: Vec<u64>,
        /// Its first byte, from the start of the data.
        offset: u64,
        /// Bytes of data.
        data_len: usize,
    },
    /// Two tensors share bytes.
    #[error("tensors `{first}` and `{second}` overlap")]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
    },
    /// A key that has no default is absent.
    #[error("key `{key}` is missing")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A key holds the wrong kind of value, or one that is not allowed.
    #[error("key `{key}` is {found}, but must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// What it must hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A model of another kind.
    #[error("it is a {found} model; Lapidary runs gemma and gemma2")]
    Architecture {
        /// `general.architecture`.
        found: String,
    },
    /// The metadata, taken together, describe no model that can be run.
    #[error("its metadata do not describe a usable Gemma model")]
    Config(#[source] ConfigError),
    /// A norm in blocks.
    #[error("tensor `{tensor}` is {found}; the weights of a norm must be F32, F16 or BF16")]
    NormType {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: &'static str,
    },
    /// A projection to the logits that is not the embedding.
    #[error(
        "`output.weight` differs from `token_embd.weight`; Gemma projects to the logits with its embedding, so a \
         model with another projection cannot be run faithfully"
    )]
    UntiedOutput,
    /// The vocabulary makes no tokenizer.
    #[error("its vocabulary makes no tokenizer")]
    Tokenizer(#[source] tokenizers::Error),
    /// A part of a split model whose name does not say so, so that the others cannot be found.
    #[error("it is one of {count} parts, but not named like one (NAME-00001-of-{count:05}.gguf)")]
    PartName {
        /// Parts in all.
        count: u64,
    },
}

/// A GGUF file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufFileError {
    /// The file could not be read or mapped.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A part of a model is missing.
    #[error("{}, part {number} of {count} of the model, is not there; is the download complete?", path.display())]
    MissingPart {
        /// Where it should be.
        path: PathBuf,
        /// Its number, from 1.
        number: u64,
        /// Parts in all.
        count: u64,
    },
    /// What is in the file cannot be used.
    #[error("{} is no GGUF file that can be used", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: GgufError,
    },
}
