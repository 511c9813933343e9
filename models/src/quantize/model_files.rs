//! The files of a model that are not weights.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::QuantizeError;
use crate::builtin;
use crate::config::GemmaConfig;
use crate::files;

/// Where a model's config, tokenizer and the like are.
#[derive(Debug, Clone, Copy)]
pub enum ModelFiles<'a> {
    /// In a model directory.
    Directory(&'a Path),
    /// In the program: the [built-in](crate::builtin) model's.
    Builtin,
}

impl ModelFiles<'_> {
    /// The file's content; `None` where there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, QuantizeError> {
        match self {
            Self::Builtin => Ok(builtin::file(name).map(Cow::Borrowed)),
            Self::Directory(directory) => {
                let path = directory.join(name);
                match std::fs::read(&path) {
                    Ok(content) => Ok(Some(Cow::Owned(content))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(QuantizeError::Read { path, source }),
                }
            }
        }
    }

    /// The text of `config.json` with how `config` has the weights stored; all else that it says stays, whether or not
    /// it means something to us.
    pub(super) fn config(&self, config: &GemmaConfig) -> Result<String, QuantizeError> {
        let Some(text) = self.read(files::CONFIG)? else { return Ok(config.to_json()) };
        let mut object: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|_| QuantizeError::Config { path: self.path(files::CONFIG) })?;
        if let Some(quantization) = config.quantization_json() {
            object.insert("quantization_config".to_owned(), quantization);
        }
        Ok(format!("{:#}\n", Value::Object(object)))
    }

    /// Refuses to write to where the model is.
    pub(super) fn refuse_to_replace(&self, destination: &Path) -> Result<(), QuantizeError> {
        let Self::Directory(directory) = self else { return Ok(()) };
        let is_same = directory
            .canonicalize()
            .and_then(|source| Ok(source == destination.canonicalize()?))
            // What is not there is not the same.
            .unwrap_or(false);
        if is_same {
            return Err(QuantizeError::SameDirectory { directory: destination.to_owned() });
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Builtin => Path::new(builtin::NAME).join(name),
            Self::Directory(directory) => directory.join(name),
        }
    }
}
