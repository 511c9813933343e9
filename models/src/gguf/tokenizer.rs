//! A tokenizer from a vocabulary: the byte pair encoding that does to text what Gemma's `tokenizer.json` does.
//!
//! SentencePiece merges, of all neighbours whose concatenation is a piece, those that make the piece of the highest
//! score, leftmost first. As byte pair encoding that is a list of merges: every way to split every piece into two, in
//! the order of scores. transformers derives `tokenizer.json` from SentencePiece's file in this way
//! (`generate_merges`), and its Gemma converter sets the rest: spaces are `▁`, none is put before a text, what is no
//! piece falls back to bytes.

use std::cmp::Reverse;
use std::collections::HashMap;

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::Replace;
use tokenizers::{AddedToken, DecoderWrapper, Tokenizer};

use super::vocabulary::{Piece, PieceType};

const SPACE: &str = " ";
const SPACE_PIECE: &str = "▁";
/// In Gemma's `tokenizer.json`, the piece for the byte of the tab is the tab itself, so that runs of tabs, which are
/// pieces, can be merged from it.
const TAB: (&str, &str) = ("<0x09>", "\t");

/// Builds the tokenizer.
///
/// # Errors
/// None that a vocabulary that was read can cause.
pub(super) fn build(mut pieces: Vec<Piece>) -> tokenizers::Result<Tokenizer> {
    respell_tab(&mut pieces);
    let mut ids = HashMap::with_capacity(pieces.len());
    for (piece, id) in pieces.iter().zip(0_u32..) {
        // Of two pieces with one spelling, text can only ever become one.
        ids.entry(piece.text.as_str()).or_insert(id);
    }
    let merges = merges(&pieces, &ids);
    let vocabulary: Vocab = ids.iter().map(|(text, id)| ((*text).to_owned(), *id)).collect();
    let mut model = BPE::builder().vocab_and_merges(vocabulary, merges).fuse_unk(true).byte_fallback(true);
    if let Some(unknown) = pieces.iter().find(|piece| piece.kind == PieceType::Unknown) {
        model = model.unk_token(unknown.text.clone());
    }
    let mut tokenizer = Tokenizer::new(model.build()?);
    tokenizer.with_normalizer(Some(Replace::new(SPACE, SPACE_PIECE)?))?;
    tokenizer.with_decoder(Some(Sequence::new(vec![
        DecoderWrapper::Replace(Replace::new(SPACE_PIECE, SPACE)?),
        DecoderWrapper::ByteFallback(ByteFallback::new()),
        DecoderWrapper::Fuse(Fuse::new()),
    ])));
    tokenizer.add_tokens(pieces.iter().filter_map(added_token))?;
    Ok(tokenizer)
}

fn respell_tab(pieces: &mut [Piece]) {
    let (byte, tab) = TAB;
    if pieces.iter().any(|piece| piece.text == tab) {
        return;
    }
    if let Some(piece) = pieces.iter_mut().find(|piece| piece.kind == PieceType::Byte && piece.text == byte) {
        tab.clone_into(&mut piece.text);
    }
}

/// What is found in text before anything is merged.
fn added_token(piece: &Piece) -> Option<AddedToken> {
    let special = match piece.kind {
        PieceType::Control | PieceType::Unknown => true,
        PieceType::UserDefined => false,
        PieceType::Normal | PieceType::Unused | PieceType::Byte => return None,
    };
    Some(AddedToken::from(piece.text.clone(), special).normalized(false))
}

/// Pairs of pieces to merge, most urgent first.
fn merges(pieces: &[Piece], ids: &HashMap<&str, u32>) -> Vec<(String, String)> {
    let mut merges: Vec<Merge<'_>> = Vec::new();
    for piece in pieces {
        // User-defined pieces are matched whole; where a text spells one otherwise (`▁▁` as two spaces), it still comes
        // before all others, and whatever score a converter gave it means nothing.
        let score = match piece.kind {
            PieceType::Normal => piece.score,
            PieceType::UserDefined => f32::INFINITY,
            PieceType::Unknown | PieceType::Control | PieceType::Unused | PieceType::Byte => continue,
        };
        let splits = piece.text.char_indices().skip(1).zip(1..).filter_map(|((at, _), left_len)| {
            let (left, right) = piece.text.split_at(at);
            let (left_id, right_id) = (*ids.get(left)?, *ids.get(right)?);
            Some(Merge { score, left, right, left_len, left_id, right_id })
        });
        let first = merges.len();
        merges.extend(splits);
        if let Some(own) = merges.get_mut(first..) {
            own.sort_by_key(|merge| (merge.left_id, merge.right_id));
        }
    }
    // Stable: what compares equal stays in the order of the vocabulary.
    merges.sort_by_cached_key(|merge| {
        (Reverse(ordered(merge.score)), Reverse(merge.left_len), Reverse(merge.right.chars().count()))
    });
    merges.into_iter().map(|merge| (merge.left.to_owned(), merge.right.to_owned())).collect()
}

/// Two pieces that make a third.
struct Merge<'a> {
    score: f32,
    left: &'a str,
    right: &'a str,
    /// In characters.
    left_len: usize,
    left_id: u32,
    right_id: u32,
}

/// An integer that orders as the float does.
fn ordered(score: f32) -> i32 {
    // -0 and 0 are one score.
    let bits = (score + 0.0).to_bits().cast_signed();
    bits ^ (((bits >> 31) as u32) >> 1).cast_signed()
}
