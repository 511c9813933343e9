//! A small tokenizer in Gemma's form, for checkpoints that are made up.
//!
//! Byte pair encoding with byte fallback over printable ASCII and a few frequent English pieces; any text can be
//! encoded and is decoded as it was (save that, as in Gemma, `▁` reads back as a space). Special tokens have
//! Gemma's ids, so that chats work.

use serde_json::{Map, Value, json};

use crate::chat::GEMMA_TEMPLATE;

/// Special tokens with Gemma's ids.
const SPECIAL: [(&str, u32); 6] = [
    ("<pad>", 0),
    ("<eos>", 1),
    ("<bos>", 2),
    ("<unk>", 3),
    ("<start_of_turn>", 106),
    ("<end_of_turn>", 107),
];
/// Ids below this are special tokens, or unused as many of Gemma's are.
const FIRST_BYTE_ID: u32 = 108;

/// Pairs that merge, most urgent first; each makes a piece. Spaces only separate: in text they are `▁`.
const MERGES: [&str; 52] = [
    "▁ t", "h e", "▁ a", "i n", "▁t he", "r e", "o n", "e r", "▁ s", "▁ w", "a t", "n d", "o u", "▁ o",
    "i s", "e n", "▁ b", "▁ c", "o r", "i t", "e s", "▁ f", "▁ m", "in g", "▁ p", "▁o f", "▁a nd", "▁t o",
    "a n", "▁ h", "l l", "e d", "a r", "▁ d", "a l", "▁ l", "▁ in", "▁ n", "▁ y", "▁y ou", "s t", "r o",
    "l e", "v e", "▁ g", "c h", "▁ I", "▁ T", "o m", "i c", "▁b e", "▁w he",
];

/// Pieces by id: specials, bytes, characters, merges; then placeholders up to `vocab_size`, so that every id a
/// model of that size may generate has a spelling. `None` if `vocab_size` is too small for the characters.
fn vocabulary(vocab_size: usize) -> Option<Vec<String>> {
    let mut pieces: Vec<String> = Vec::with_capacity(vocab_size);
    for id in 0..FIRST_BYTE_ID {
        let special = SPECIAL.iter().find(|(_, special)| *special == id);
        pieces.push(special.map_or_else(|| format!("<unused{id}>"), |(piece, _)| (*piece).to_owned()));
    }
    pieces.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")));
    pieces.extend(["\n", "\t", "▁"].map(str::to_owned));
    pieces.extend(('!'..='~').map(String::from));
    let room = vocab_size.checked_sub(pieces.len())?;
    pieces.extend(MERGES.iter().take(room).map(|pair| pair.replace(' ', "")));
    pieces.extend((pieces.len()..vocab_size).map(|id| format!("<unused{id}>")));
    Some(pieces)
}

/// The text of a `tokenizer.json` for a model of `vocab_size` ids; `None` below 461, where not even the
/// characters have room.
pub fn synthetic_tokenizer_json(vocab_size: usize) -> Option<String> {
    let pieces = vocabulary(vocab_size)?;
    let merges: Vec<_> = MERGES.iter().filter(|pair| pieces.contains(&pair.replace(' ', ""))).collect();
    let vocab: Map<String, Value> =
        pieces.into_iter().zip(0_u32..).map(|(piece, id)| (piece, json!(id))).collect();
    let added_tokens: Vec<_> = SPECIAL
        .iter()
        .map(|(piece, id)| {
            let mut token = added_token(piece);
            token.insert("id".to_owned(), json!(id));
            token
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<bos>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": "<bos>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<bos>", "type_id": 1}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": "<unk>",
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": merges,
        },
    });
    Some(format!("{tokenizer}\n"))
}

/// The text of the `tokenizer_config.json` that goes with it.
pub fn synthetic_tokenizer_config_json() -> String {
    let added_tokens: Map<String, Value> =
        SPECIAL.iter().map(|(piece, id)| (id.to_string(), Value::Object(added_token(piece)))).collect();
    let config = json!({
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": true,
        "add_eos_token": false,
        "added_tokens_decoder": added_tokens,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": false,
        "spaces_between_special_tokens": false,
        "chat_template": GEMMA_TEMPLATE,
    });
    format!("{config:#}\n")
}

fn added_token(piece: &str) -> Map<String, Value> {
    let flags = ["lstrip", "normalized", "rstrip", "single_word"].map(|flag| (flag.to_owned(), json!(false)));
    let content = ("content".to_owned(), json!(piece));
    [content].into_iter().chain(flags).chain([("special".to_owned(), json!(true))]).collect()
}
