//! Models in GGUF files, as llama.cpp has them: config, weights, tokenizer and chat template in one.
//!
//! Weights in blocks stay in their few bits: a block's codes and scales are [moved apart](blocks), bit by bit, into the
//! tensors that programs take, when a tensor is loaded.

mod blocks;
mod config;
mod error;
mod header;
mod metadata;
mod names;
mod reader;
mod repack;
mod split;
mod tensor_type;
mod tensors;
#[cfg(test)]
mod tests;
mod tokenizer;
mod value;
mod vocabulary;

pub use error::{GgufError, GgufFileError, Place};

use std::fs::File;
use std::io::{self, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::Source;
use crate::config::GemmaConfig;
use header::Header;
use metadata::Metadata;
use split::Split;

/// Whether `path` is a file that is GGUF by its name or by how it begins.
pub fn is_gguf(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let begins_so = || {
        let mut magic = [0; header::MAGIC.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == header::MAGIC
    };
    has_extension(path) || begins_so()
}

/// Names of the GGUF files in a directory, for who gives the directory instead of one of them; none if it cannot be
/// listed.
pub(crate) fn files_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| has_extension(path));
    let mut names: Vec<String> =
        files.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

fn has_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// A model's file, or files, with their headers read.
#[derive(Debug)]
pub(crate) struct Gguf {
    path: PathBuf,
    /// The file that has the metadata, and, of most models, everything.
    first: Part,
    others: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    source: Arc<Source>,
    header: Header,
}

impl Part {
    fn open(path: &Path) -> Result<Self, GgufFileError> {
        let source =
            Source::map(path).map_err(|source| GgufFileError::Read { path: path.to_owned(), source })?;
        let header = header::parse(source.bytes()).map_err(|error| content(path, error))?;
        Ok(Self { source: Arc::new(source), header })
    }

    /// Opens one of several parts, given where all are.
    fn open_of(paths: &[PathBuf], index: usize) -> Result<Self, GgufFileError> {
        let (number, count) = (index as u64 + 1, paths.len() as u64);
        let path = paths.get(index).map(PathBuf::as_path).unwrap_or(Path::new(""));
        let part = Self::open(path).map_err(|error| match error {
            GgufFileError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
                GgufFileError::MissingPart { path, number, count }
            }
            other => other,
        })?;
        Split::expect(&part.header.metadata, index as u64, count).map_err(|error| content(path, error))?;
        Ok(part)
    }
}

fn content(path: &Path, source: GgufError) -> GgufFileError {
    GgufFileError::Content { path: path.to_owned(), source }
}

impl Gguf {
    /// Opens the model that the file at `path` is, or is a part of. Files are mapped, and only their headers read.
    pub(crate) fn open(path: &Path) -> Result<Self, GgufFileError> {
        let given = Part::open(path)?;
        let split = Split::of(&given.header.metadata).map_err(|error| content(path, error))?;
        let (first, others) = match split {
            None => (given, Vec::new()),
            Some(split) => {
                let paths = split.paths(path).map_err(|error| content(path, error))?;
                let others = (1..paths.len()).map(|index| Part::open_of(&paths, index));
                (Part::open_of(&paths, 0)?, others.collect::<Result<Vec<_>, _>>()?)
            }
        };
        Ok(Self { path: path.to_owned(), first, others })
    }

    /// The config that the metadata and the tensors describe.
    pub(crate) fn config(&self) -> Result<GemmaConfig, GgufFileError> {
        let mut config = config::config(self.first.source.bytes(), self.metadata(), self.embedding())
            .map_err(|error| self.unusable(error))?;
        config.encodings = self.encodings(&config);
        Ok(config)
    }

    /// The tokenizer that the vocabulary makes.
    pub(crate) fn tokenizer(&self) -> Result<tokenizers::Tokenizer, GgufFileError> {
        vocabulary::pieces(self.first.source.bytes(), self.metadata())
            .and_then(|pieces| tokenizer::build(pieces).map_err(GgufError::Tokenizer))
            .map_err(|error| self.unusable(error))
    }

    /// The chat template, if there is one.
    pub(crate) fn chat_template(&self) -> Result<Option<&str>, GgufFileError> {
        self.metadata().text("tokenizer.chat_template").map_err(|error| self.unusable(error))
    }

    const fn metadata(&self) -> &Metadata {
        &self.first.header.metadata
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        iter::once(&self.first).chain(&self.others)
    }

    fn unusable(&self, error: GgufError) -> GgufFileError {
        content(self.first.source.path(), error)
    }
}
