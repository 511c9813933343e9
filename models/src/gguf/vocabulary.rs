//! The vocabulary in a file's metadata: SentencePiece's pieces with their scores and types.

use super::config::token_id;
use super::error::GgufError;
use super::metadata::{Metadata, missing};
use super::value::{Kind, Value};

const MODEL: &str = "tokenizer.ggml.model";
const PIECES: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const TYPES: &str = "tokenizer.ggml.token_type";
/// Ends a turn of a chat, and so what an instruction-tuned model generates.
const END_OF_TURN: &str = "<end_of_turn>";
const START_OF_TURN: &str = "<start_of_turn>";

/// What a piece is, by SentencePiece's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceType {
    /// Made by merging.
    Normal,
    /// Stands for what cannot be spelled.
    Unknown,
    /// Never text, such as `<bos>`.
    Control,
    /// Found in text before anything is merged.
    UserDefined,
    /// A number without a meaning.
    Unused,
    /// One byte of a character that is no piece.
    Byte,
}

impl PieceType {
    fn of(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Normal),
            2 => Some(Self::Unknown),
            3 => Some(Self::Control),
            4 => Some(Self::UserDefined),
            5 => Some(Self::Unused),
            6 => Some(Self::Byte),
            _ => None,
        }
    }
}

/// One entry of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Of the pieces that could be made by merging neighbours, that with the highest score is.
    pub(super) score: f32,
    pub(super) kind: PieceType,
}

/// The vocabulary by id, which the metadata of the file `bytes` have.
pub(super) fn pieces(bytes: &[u8], metadata: &Metadata) -> Result<Vec<Piece>, GgufError> {
    let model = metadata.text(MODEL)?.ok_or_else(|| missing(MODEL))?;
    if model != "llama" {
        return Err(GgufError::Value {
            key: MODEL.to_owned(),
            expected: "\"llama\", which means SentencePiece".to_owned(),
            found: format!("{model:?}"),
        });
    }
    let texts =
        metadata.array(PIECES, &[Kind::Text], "an array of strings")?.ok_or_else(|| missing(PIECES))?;
    let texts = texts.texts(PIECES, bytes).collect::<Result<Vec<_>, _>>()?;
    let scores = scores(bytes, metadata, texts.len())?;
    let types = types(bytes, metadata, texts.len())?;
    let piece = |((text, score), kind): ((&str, f32), PieceType)| match (kind, text) {
        // What transformers' converter does for Gemma, whatever the type in the vocabulary.
        (_, START_OF_TURN | END_OF_TURN) => Piece { text: text.to_owned(), score, kind: PieceType::Control },
        // llama.cpp's converter respells these, which is undone here.
        (PieceType::UserDefined, _) => Piece { text: text.replace(' ', "▁"), score, kind },
        _ => Piece { text: text.to_owned(), score, kind },
    };
    Ok(texts.into_iter().zip(scores).zip(types).map(piece).collect())
}

fn scores(bytes: &[u8], metadata: &Metadata, len: usize) -> Result<Vec<f32>, GgufError> {
    let array = metadata.array(SCORES, &[Kind::F32], "an array of f32")?.ok_or_else(|| missing(SCORES))?;
    expect_len(SCORES, array.len, len)?;
    let score = |value| match value {
        // It was an f32 in the file.
        Value::Float(score) => score as f32,
        Value::Unsigned(_) | Value::Signed(_) | Value::Bool(_) | Value::Text(_) | Value::Array(_) => 0.0,
    };
    array.values(SCORES, bytes).map(|value| value.map(score)).collect()
}

/// Without types, all pieces but those that stand for bytes are normal.
fn types(bytes: &[u8], metadata: &Metadata, len: usize) -> Result<Vec<PieceType>, GgufError> {
    let kinds = [Kind::I32, Kind::U32];
    let Some(array) = metadata.array(TYPES, &kinds, "an array of 32-bit integers")? else {
        return Ok(vec![PieceType::Normal; len]);
    };
    expect_len(TYPES, array.len, len)?;
    let piece_type = |value: Value| {
        let number = match value {
            Value::Unsigned(number) => Some(number),
            Value::Signed(number) => number.try_into().ok(),
            Value::Float(_) | Value::Bool(_) | Value::Text(_) | Value::Array(_) => None,
        };
        number.and_then(PieceType::of).ok_or_else(|| GgufError::Value {
            key: TYPES.to_owned(),
            expected: "types of pieces, from 1 to 6".to_owned(),
            found: format!("an array with {} in it", value.excerpt()),
        })
    };
    array.values(TYPES, bytes).map(|value| value.and_then(piece_type)).collect()
}

fn expect_len(key: &str, found: usize, expected: usize) -> Result<(), GgufError> {
    if found == expected {
        return Ok(());
    }
    Err(GgufError::Value {
        key: key.to_owned(),
        expected: format!("an array of {expected}, one for each of `{PIECES}`"),
        found: format!("an array of {found}"),
    })
}

/// The ids that end a generation: those that the metadata name, and the end of a turn if there is such a piece, as
/// llama.cpp has it.
pub(super) fn eos_ids(bytes: &[u8], metadata: &Metadata) -> Result<Vec<u32>, GgufError> {
    let mut ids = Vec::new();
    ids.push(token_id(metadata, "tokenizer.ggml.eos_token_id")?.unwrap_or(1));
    ids.extend(token_id(metadata, "tokenizer.ggml.eot_token_id")?);
    if let Some(texts) = metadata.array(PIECES, &[Kind::Text], "an array of strings")? {
        for (text, id) in texts.texts(PIECES, bytes).zip(0..) {
            if text? == END_OF_TURN {
                ids.push(id);
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}
