//! `generation_config.json`: how a model's publisher means it to be sampled.

use std::path::Path;

use serde_json::Value;

use super::ConfigError;
use crate::json::{Fields, type_name};

/// The part of `generation_config.json` that concerns Gemma.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationConfig {
    /// Ids that end a generation; instruction-tuned models name `<end_of_turn>` here.
    pub eos_token_ids: Vec<u32>,
}

impl GenerationConfig {
    /// Reads the file at `path`; `None` when there is none, as it is optional.
    ///
    /// # Errors
    /// [`ConfigError::Read`] or [`ConfigError::File`], with the file's path.
    pub fn open(path: &Path) -> Result<Option<Self>, ConfigError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        let parsed = Self::from_json(&text)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source: Box::new(source) })?;
        Ok(Some(parsed))
    }

    /// Reads the text of a `generation_config.json`.
    ///
    /// # Errors
    /// [`ConfigError`], which names the field.
    pub fn from_json(text: &[u8]) -> Result<Self, ConfigError> {
        let value: Value = serde_json::from_slice(text).map_err(ConfigError::Json)?;
        let Value::Object(object) = &value else {
            return Err(ConfigError::NotAnObject { found: type_name(&value) });
        };
        Ok(Self { eos_token_ids: Fields::new(object).token_ids("eos_token_id")? })
    }
}
