//! Prompts and texts: from arguments, files, standard input, or as token ids.

use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use lapidary::model::Model;
use lapidary::models::chat::{Message, parse_messages};
use lapidary::models::tokenizer::Tokenizer;
use serde_json::Value;

/// The tokenizer of a model, or why text cannot be used with it.
///
/// # Errors
/// If there is none that works.
pub fn tokenizer(model: &Model) -> Result<&Tokenizer> {
    match model.tokenizer() {
        Ok(tokenizer) => Ok(tokenizer),
        // The reason is borrowed from the model; it is told whole, causes included.
        Err(error) => {
            let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
            let lines: Vec<String> = causes.map(ToString::to_string).collect();
            bail!("{}", lines.join("\n  because: "))
        }
    }
}

/// The content of a file, or of standard input for `-`.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A text file, or standard input for `-`.
///
/// # Errors
/// If it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow!("{} is not UTF-8 text: the byte at offset {at} begins no character", name(path))
    })
}

/// Standard input as text.
///
/// # Errors
/// If a person sits at it, who would not know what to do; or as [`read_text`].
pub fn piped_text(instead: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        bail!("nothing to work on; give {instead}, or pipe text in");
    }
    read_text(Path::new("-"))
}

/// The sequences of a token id file: a JSON array of ids, or of such arrays.
///
/// # Errors
/// If the file is something else; what and where.
pub fn token_ids(path: &Path) -> Result<Vec<Vec<u32>>> {
    let sequences = serde_json::from_slice(&read(path)?).map_err(anyhow::Error::from).and_then(sequences);
    sequences
        .with_context(|| format!("{} is no JSON array of token ids, nor an array of such arrays", name(path)))
}

fn sequences(ids: Value) -> Result<Vec<Vec<u32>>> {
    let ids = match ids {
        Value::Array(ids) if ids.is_empty() => bail!("it is empty; give at least one token id"),
        Value::Array(ids) => ids,
        _ => bail!("it is not an array"),
    };
    if ids.iter().any(Value::is_array) {
        let rows = ids.iter().enumerate().map(|(row, ids)| match ids {
            Value::Array(ids) => sequence(row, ids),
            other => bail!("it mixes ids and arrays: item {row} (counted from 0) is {other}"),
        });
        return rows.collect();
    }
    Ok(vec![sequence(0, &ids)?])
}

/// The token ids in a JSON array, which is sequence `row` where it is from.
///
/// # Errors
/// The first item that is none.
pub fn sequence(row: usize, ids: &[Value]) -> Result<Vec<u32>> {
    let id = |(position, id): (usize, &Value)| match id.as_u64().map(u32::try_from) {
        Some(Ok(id)) => Ok(id),
        _ => bail!(
            "sequence {row}, position {position} (both counted from 0): {id} is no token id; \
             ids are whole numbers below the size of the vocabulary"
        ),
    };
    ids.iter().enumerate().map(id).collect()
}

/// A conversation, and what to call it where something is wrong with it.
pub struct Conversation {
    name: String,
    messages: Vec<Message>,
}

impl Conversation {
    /// The content of a file, or of standard input for `-`.
    ///
    /// # Errors
    /// If that is something else.
    pub fn of_file(path: &Path) -> Result<Self> {
        let messages = parse_messages(&read(path)?);
        let messages = messages.with_context(|| format!("{} is no conversation", name(path)))?;
        Ok(Self { name: name(path), messages })
    }

    /// Its token ids, up to where the model's answer begins.
    ///
    /// # Errors
    /// If it ends with an answer, or does not encode.
    pub fn encode(&self, model: &Model, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        let ids = model.encode_chat(tokenizer, &self.messages);
        ids.with_context(|| format!("{} cannot be answered", self.name))
    }
}

/// A text, and what to call it where something is wrong with it.
pub struct Text {
    /// `page.txt`, `--prompt 1 (counted from 0)`.
    pub name: String,
    /// The text itself, never empty.
    pub text: String,
}

impl Text {
    fn new(name: String, text: String) -> Result<Self> {
        if text.is_empty() {
            bail!("{name} is empty; give at least one character");
        }
        Ok(Self { name, text })
    }

    /// The values of a flag that may be given several times.
    ///
    /// # Errors
    /// If one is empty.
    pub fn of_flag(flag: &str, values: &[String]) -> Result<Vec<Self>> {
        let name = |index| match values.len() {
            1 => flag.to_string(),
            _ => format!("{flag} {index} (counted from 0)"),
        };
        values.iter().enumerate().map(|(index, text)| Self::new(name(index), text.clone())).collect()
    }

    /// The content of a file, or standard input for `-`.
    ///
    /// # Errors
    /// As [`read_text`], or if it is empty.
    pub fn of_file(path: &Path) -> Result<Self> {
        Self::new(name(path), read_text(path)?)
    }

    /// Standard input, where the arguments name nothing; `instead` is what they could have named.
    ///
    /// # Errors
    /// As [`piped_text`], or if it is empty.
    pub fn piped(instead: &str) -> Result<Self> {
        let stdin = Path::new("-");
        let text = piped_text(instead)?;
        if text.is_empty() {
            bail!("standard input is empty; pipe text in, or give {instead}");
        }
        Self::new(name(stdin), text)
    }

    /// Its token ids, BOS first.
    ///
    /// # Errors
    /// If it does not encode.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        tokenizer.encode(&self.text).with_context(|| format!("{} has no token ids", self.name))
    }
}

/// What a person calls a file.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}
