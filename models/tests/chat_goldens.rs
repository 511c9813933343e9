//! Chat template and tokenizer against transformers' own renderings of the same conversations and texts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use lapidary_models::chat::{ChatTemplate, Message, parse_messages};
use lapidary_models::config::GemmaConfig;
use lapidary_models::tokenizer::Tokenizer;
use serde_json::Value;

/// What Lapidary does differently on purpose, by the text or the case's name.
const DOUBLED_BOS: &str = "<bos>the<eos>";
const FOLDED_SYSTEM: &str = "system turn";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/chat")
}

fn cases(kind: &str) -> Vec<Value> {
    let text = std::fs::read(directory().join("cases.json")).unwrap();
    let cases: Value = serde_json::from_slice(&text).unwrap();
    let cases = cases[kind].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn tokenizer() -> Tokenizer {
    Tokenizer::open(&directory(), &GemmaConfig::named("gemma2-2b").unwrap()).unwrap()
}

fn messages(case: &Value) -> Vec<Message> {
    parse_messages(case["messages"].to_string().as_bytes()).unwrap()
}

fn ids(case: &Value) -> Vec<u32> {
    case["token_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn conversations_render_and_encode_as_transformers_has_them() {
    let (template, tokenizer) = (ChatTemplate::open(&directory()).unwrap(), tokenizer());
    for case in cases("rendered") {
        let prompts = case["add_generation_prompt"].as_bool().unwrap();
        let messages = messages(&case);
        let rendered = template.render(&messages, tokenizer.bos_text(), prompts);
        if prompts && case["messages"].as_array().unwrap().last().unwrap()["role"] == "assistant" {
            // transformers opens a second model turn; here there is nothing to answer.
            assert!(rendered.is_err(), "{}", case["name"]);
            continue;
        }
        let rendered = rendered.unwrap();
        assert_eq!(rendered, case["rendered"], "{}", case["name"]);
        assert_eq!(tokenizer.encode(&rendered).unwrap(), ids(&case), "{}", case["name"]);
    }
}

#[test]
fn conversations_out_of_order_are_refused_and_a_system_message_is_folded_in() {
    let (template, tokenizer) = (ChatTemplate::open(&directory()).unwrap(), tokenizer());
    for case in cases("refused") {
        let rendered = template.render(&messages(&case), tokenizer.bos_text(), true);
        if case["name"] == FOLDED_SYSTEM {
            let folded = "<bos><start_of_turn>user\na\n\nb<end_of_turn>\n<start_of_turn>model\n";
            assert_eq!(rendered.unwrap(), folded);
        } else {
            assert!(rendered.is_err(), "{}", case["name"]);
        }
    }
}

#[test]
fn texts_encode_and_decode_as_transformers_does() {
    let tokenizer = tokenizer();
    for case in cases("texts") {
        let text = case["text"].as_str().unwrap();
        let mut expected = ids(&case);
        if text == DOUBLED_BOS {
            expected.remove(0);
        }
        assert_eq!(tokenizer.encode(text).unwrap(), expected, "{text:?}");
        assert_eq!(tokenizer.decode(&expected).unwrap(), case["decoded"], "{text:?}");
    }
}
