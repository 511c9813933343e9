//! Tokenizers from vocabularies, against the `tokenizer.json` that the vocabularies are of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::file::{Field, GgufFile};
use super::model::{config, metadata};
use crate::chat::{ChatTemplate, GEMMA_TEMPLATE, Message, Role};
use crate::config::GemmaConfig;
use crate::tokenizer::{Tokenizer, synthetic_tokenizer_json};

const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;

/// Metadata with the vocabulary of a `tokenizer.json`, as llama.cpp's converter has them: the score of a piece is the
/// rank of its merge, negated, and that of an added token is -1000.
fn with_vocabulary(file: GgufFile, tokenizer: &Value) -> GgufFile {
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let added: HashMap<u64, bool> = tokenizer["added_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| (token["id"].as_u64().unwrap(), token["special"].as_bool().unwrap()))
        .collect();
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (merge, rank) in tokenizer["model"]["merges"].as_array().unwrap().iter().zip(0..) {
        let piece = match merge {
            Value::String(pair) => pair.replacen(' ', "", 1),
            pair => format!("{}{}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        };
        ranks.entry(piece).or_insert(rank);
    }
    let mut pieces: Vec<(u64, &String)> =
        vocabulary.iter().map(|(piece, id)| (id.as_u64().unwrap(), piece)).collect();
    pieces.sort_unstable();
    let entry = |(id, piece): &(u64, &String)| match added.get(id) {
        Some(true) if *piece == "<unk>" => ((*piece).clone(), UNKNOWN, -1000.0),
        Some(true) => ((*piece).clone(), CONTROL, -1000.0),
        Some(false) => (piece.replace('▁', " "), USER_DEFINED, -1000.0),
        None if piece.starts_with("<0x") => ((*piece).clone(), BYTE, 0.0),
        None => {
            let rank = ranks.get(*piece).copied().unwrap_or(ranks.len());
            ((*piece).clone(), NORMAL, -(rank as f32))
        }
    };
    let entries: Vec<(String, i32, f32)> = pieces.iter().map(entry).collect();
    file.with("tokenizer.ggml.model", Field::Text("llama".into()))
        .with(
            "tokenizer.ggml.tokens",
            Field::Texts(entries.iter().map(|(piece, ..)| piece.clone()).collect()),
        )
        .with("tokenizer.ggml.scores", Field::Floats(entries.iter().map(|(.., score)| *score).collect()))
        .with(
            "tokenizer.ggml.token_type",
            Field::Integers(entries.iter().map(|(_, kind, _)| *kind).collect()),
        )
}

/// A model's metadata with a vocabulary and a chat template, without weights.
pub(super) fn tiny() -> GgufFile {
    let json: Value = serde_json::from_str(&synthetic_tokenizer_json(512).unwrap()).unwrap();
    let file = metadata(&config())
        .with("gemma2.vocab_size", Field::U32(512))
        .with("tokenizer.chat_template", Field::Text(GEMMA_TEMPLATE.into()));
    with_vocabulary(file, &json)
}

fn written(file: &GgufFile) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    std::fs::write(&path, file.bytes()).unwrap();
    (directory, path)
}

/// The tokenizer of `json`, read as it is and by way of a GGUF file's vocabulary.
fn both(json: &Value, config: &GemmaConfig) -> (Tokenizer, Tokenizer) {
    let (_directory, path) = written(&with_vocabulary(metadata(config), json));
    let from_gguf = Tokenizer::open(&path, config).unwrap();
    (
        Tokenizer::from_json(Path::new("tokenizer.json"), json.to_string().as_bytes(), config).unwrap(),
        from_gguf,
    )
}

fn json(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const TEXTS: [&str; 12] = [
    "",
    "the",
    " leading and trailing ",
    "  two  spaces   three",
    "\n\n\n\tx\t\ty\r\n",
    "héllo 漢😀 ▁ and ▁▁",
    "<start_of_turn>user\nhi<end_of_turn>\n<eos><unk><pad>",
    "<bos>once",
    "1234567890 3.14159 -17",
    "don't WON'T; \"quoted\" (parenthesised) [x] {y}",
    "<0x41><0x09>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn assert_equal(json: &Value, config: &GemmaConfig, texts: impl IntoIterator<Item = impl AsRef<str>>) {
    let (expected, found) = both(json, config);
    for text in texts {
        let text = text.as_ref();
        let ids = expected.encode(text).unwrap();
        assert_eq!(found.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(found.decode(&ids).unwrap(), expected.decode(&ids).unwrap(), "{text:?}");
    }
    assert_eq!((found.bos_text(), found.vocab_size()), (expected.bos_text(), expected.vocab_size()));
}

#[test]
fn pebbles_held_out_texts_are_tokenized_as_by_its_tokenizer_json() {
    let config = crate::builtin::checkpoint().unwrap().config().clone();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pebble/heldout.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    let documents = lines.lines().map(|line| {
        let document: Value = serde_json::from_str(line).unwrap();
        document["text"].as_str().unwrap().to_owned()
    });
    let documents: Vec<String> = documents.chain(TEXTS.map(str::to_owned)).collect();
    assert!(documents.len() > 100);
    assert_equal(&json("pebble/tokenizer.json"), &config, documents);
}

#[test]
fn the_chat_goldens_are_tokenized_as_by_their_tokenizer_json() {
    let cases = json("../tests/goldens/chat/cases.json");
    let field = |kind: &str, field: &str| -> Vec<String> {
        let cases = cases[kind].as_array().unwrap();
        cases.iter().map(|case| case[field].as_str().unwrap().to_owned()).collect()
    };
    let texts =
        [field("texts", "text"), field("rendered", "rendered"), TEXTS.map(str::to_owned).to_vec()].concat();
    let config = GemmaConfig::named("gemma2-2b").unwrap();
    assert_equal(&json("../tests/goldens/chat/tokenizer.json"), &config, texts);
}

/// Gemma's runs of spaces, tabs and newlines are pieces that no merge of trained ones makes.
#[test]
fn user_defined_pieces_come_first() {
    let entries = [
        ("<pad>", CONTROL, 0.0),
        ("<eos>", CONTROL, 0.0),
        ("<bos>", CONTROL, 0.0),
        ("<unk>", UNKNOWN, 0.0),
        ("<0x09>", BYTE, 0.0),
        ("\n", USER_DEFINED, -1000.0),
        ("\n\n", USER_DEFINED, -1000.0),
        ("  ", USER_DEFINED, -1000.0),
        ("   ", USER_DEFINED, -1000.0),
        ("\t\t", USER_DEFINED, -1000.0),
        ("▁the", NORMAL, -1.0),
        ("he", NORMAL, -2.0),
        ("▁t", NORMAL, -3.0),
        ("▁", NORMAL, -9.0),
        ("t", NORMAL, -9.0),
        ("h", NORMAL, -9.0),
        ("e", NORMAL, -9.0),
    ];
    let file = metadata(&config())
        .with("gemma2.vocab_size", Field::U32(512))
        .with("tokenizer.ggml.model", Field::Text("llama".into()))
        .with(
            "tokenizer.ggml.tokens",
            Field::Texts(entries.iter().map(|(piece, ..)| (*piece).into()).collect()),
        )
        .with("tokenizer.ggml.scores", Field::Floats(entries.iter().map(|(.., score)| *score).collect()))
        .with(
            "tokenizer.ggml.token_type",
            Field::Integers(entries.iter().map(|(_, kind, _)| *kind).collect()),
        );
    let (_directory, path) = written(&file);
    let tokenizer = Tokenizer::open(&path, &config()).unwrap();
    let pieces = |text: &str| {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        ids.into_iter().skip(1).map(|id| tokenizer.piece(id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(pieces(" the"), ["▁the"]);
    assert_eq!(pieces("  the"), ["▁▁", "t", "he"]);
    assert_eq!(pieces("    the"), ["▁▁▁", "▁the"]);
    assert_eq!(pieces("\n\n\nthe"), ["\n\n", "\n", "t", "he"]);
    assert_eq!(pieces("\t\t\the"), ["\t\t", "\t", "he"]);
}

#[test]
fn other_vocabularies_are_refused() {
    let refusal = |file: &GgufFile| {
        let (_directory, path) = written(file);
        let error = Tokenizer::open(&path, &config()).unwrap_err();
        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        chain.map(|error| error.to_string()).collect::<Vec<_>>().join(": ")
    };
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let gpt2 = refusal(&tiny().with(&key("model"), Field::Text("gpt2".into())));
    assert!(gpt2.contains("gpt2") && gpt2.contains("SentencePiece"), "{gpt2}");
    for name in ["model", "tokens", "scores"] {
        let message = refusal(&tiny().without(&key(name)));
        assert!(message.contains(&format!("`{}` is missing", key(name))), "{message}");
        assert!(message.contains("--token-ids"), "{message}");
    }
    let short = refusal(&tiny().with(&key("scores"), Field::Floats(vec![0.0; 7])));
    assert!(short.contains("an array of 512") && short.contains("an array of 7"), "{short}");
    let odd = refusal(&tiny().with(&key("token_type"), Field::Integers(vec![9; 512])));
    assert!(odd.contains("from 1 to 6") && odd.contains('9'), "{odd}");
    let floats = refusal(&tiny().with(&key("tokens"), Field::Floats(vec![0.0; 512])));
    assert!(floats.contains("an array of strings"), "{floats}");
}

#[test]
fn chat_templates_are_the_files_or_gemmas() {
    let messages = [Message::new(Role::User, "Hello")];
    let render = |file: &GgufFile| {
        let (_directory, path) = written(file);
        ChatTemplate::open(&path).unwrap().render(&messages, "<bos>", true).unwrap()
    };
    let own = tiny().with("tokenizer.chat_template", Field::Text("{{ messages[0].content }}!".into()));
    assert_eq!(render(&own), "Hello!");
    let gemmas = render(&tiny());
    assert_eq!(gemmas, "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n");
    assert_eq!(render(&tiny().without("tokenizer.chat_template")), gemmas);
}

proptest! {
    #[test]
    fn text_survives_a_round_trip(text in "\\PC*") {
        prop_assume!(!text.contains('▁') && !text.contains('<'));
        let (_directory, path) = written(&tiny());
        let tokenizer = Tokenizer::open(&path, &config()).unwrap();
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap(), text);
    }
}
