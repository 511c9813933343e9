//! Prompts and texts: from arguments, files, standard input, or as token ids.

use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use lapidary::model::Model;
use lapidary::models::chat::{Message, parse_messages};
use lapidary::models::tokenizer::Tokenizer;

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
        let name = if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
        anyhow::anyhow!("{name} is not UTF-8 text: the byte at offset {at} begins no character")
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
/// If the file is something else.
pub fn token_ids(path: &Path) -> Result<Vec<Vec<u32>>> {
    let bytes = read(path)?;
    let one: Result<Vec<u32>, _> = serde_json::from_slice(&bytes);
    match one {
        Ok(ids) => Ok(vec![ids]),
        Err(_) => serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is no JSON array of token ids, nor an array of such arrays", path.display())
        }),
    }
}

/// The messages of a conversation file.
///
/// # Errors
/// If the file is something else.
pub fn messages(path: &Path) -> Result<Vec<Message>> {
    parse_messages(&read(path)?).with_context(|| format!("{} is no conversation", path.display()))
}

/// Token ids of a text, BOS first.
///
/// # Errors
/// If the text is empty or does not encode.
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    if text.is_empty() {
        bail!("the text is empty; it needs at least one character");
    }
    Ok(tokenizer.encode(text)?)
}
