use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn config() -> GemmaConfig {
    GemmaConfig::tiny()
}

fn synthetic() -> &'static Tokenizer {
    static BUILTIN: LazyLock<Tokenizer> = LazyLock::new(|| changed(|_| ()).unwrap());
    &BUILTIN
}

/// The built-in tokenizer, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Tokenizer, TokenizerError> {
    let mut json: Value = serde_json::from_str(&synthetic_tokenizer_json(512).unwrap()).unwrap();
    change(&mut json);
    Tokenizer::from_json(Path::new("changed"), json.to_string().as_bytes(), &config())
}

#[test]
fn special_ids_are_gemmas() {
    let tokenizer = synthetic();
    for (piece, id) in [("<pad>", 0), ("<eos>", 1), ("<bos>", 2), ("<start_of_turn>", 106), ("<0x0A>", 118)] {
        assert_eq!(tokenizer.id_of(piece), Some(id), "{piece}");
    }
    assert_eq!(tokenizer.vocab_size(), 512);
    assert_eq!(tokenizer.bos_text(), "<bos>");
}

#[test]
fn merges_apply() {
    let tokenizer = synthetic();
    let ids = tokenizer.encode("in the").unwrap();
    let pieces: Vec<_> = ids.iter().map(|id| tokenizer.piece(*id).unwrap()).collect();
    assert_eq!(pieces, ["<bos>", "in", "▁the"]);
}

/// Ids that transformers 5.23 (`GemmaTokenizer`) gives with the same files.
#[test]
fn ids_are_those_of_transformers() {
    let tokenizer = synthetic();
    for (text, ids) in [
        ("in the end", &[2, 464, 465, 366, 435, 472][..]),
        (
            "héllo 漢😀\n\tx",
            &[2, 438, 303, 277, 491, 445, 366, 338, 296, 270, 348, 267, 260, 236, 364, 365, 454],
        ),
        ("  two  spaces", &[2, 366, 461, 453, 445, 366, 469, 446, 431, 433, 481]),
        ("<start_of_turn>user\n", &[2, 106, 451, 449, 468, 364]),
    ] {
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn bos_comes_once() {
    let tokenizer = synthetic();
    assert_eq!(tokenizer.encode("").unwrap(), [2]);
    assert_eq!(tokenizer.encode("a").unwrap(), tokenizer.encode("<bos>a").unwrap());
    // Whatever the post-processor does.
    let without = changed(|json| json["post_processor"] = Value::Null).unwrap();
    assert_eq!(without.encode("a").unwrap(), tokenizer.encode("a").unwrap());
    // A second one inside the text is the user's.
    assert_eq!(tokenizer.encode("<bos><bos>").unwrap(), [2, 2]);
}

#[test]
fn settings_of_a_training_run_are_ignored() {
    let truncating = changed(|json| {
        json["truncation"] =
            json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
        json["padding"] = json!({
            "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>",
        });
    });
    let text = "a rather long text";
    assert_eq!(truncating.unwrap().encode(text).unwrap(), synthetic().encode(text).unwrap());
}

#[test]
fn every_id_of_a_large_model_has_a_piece() {
    let config = GemmaConfig::named("gemma2-2b").unwrap();
    let json = synthetic_tokenizer_json(config.vocab_size).unwrap();
    let tokenizer = Tokenizer::from_json(Path::new("large"), json.as_bytes(), &config).unwrap();
    assert_eq!(tokenizer.vocab_size(), 256_000);
    assert_eq!(tokenizer.decode(&[255_999]).unwrap(), "<unused255999>");
}

#[test]
fn vocabularies_too_small_have_no_tokenizer() {
    assert!(synthetic_tokenizer_json(460).is_none());
    let mut config = config();
    config.vocab_size = 461;
    let json = synthetic_tokenizer_json(461).unwrap();
    let tokenizer = Tokenizer::from_json(Path::new("small"), json.as_bytes(), &config).unwrap();
    let ids = tokenizer.encode("the ~").unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), "the ~");
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Tokenizer::open(directory.path(), &config()).unwrap_err().to_string();
    assert!(missing.contains("--token-ids"), "{missing}");

    for text in ["", "{", "[]", "{}", "{\"model\": {\"type\": \"BPE\"}}", "\u{0}"] {
        std::fs::write(directory.path().join("tokenizer.json"), text).unwrap();
        let error = Tokenizer::open(directory.path(), &config()).unwrap_err();
        assert!(matches!(error, TokenizerError::Malformed { .. }), "{text}: {error:?}");
        assert!(error.to_string().contains("tokenizer.json"), "{error}");
    }
}

#[test]
fn foreign_features_are_refused_before_they_panic() {
    let error = changed(|json| json["model"]["continuing_subword_prefix"] = json!("##")).unwrap_err();
    assert!(matches!(error, TokenizerError::ForeignFeature { .. }), "{error:?}");
    let damaged = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" });
    let error = changed(|json| json["normalizer"] = json!({ "type": "Sequence", "normalizers": [damaged] }));
    assert!(matches!(error, Err(TokenizerError::ForeignFeature { .. })), "{error:?}");
}

/// `tokenizers` panics on these, deep in the file.
#[test]
fn a_decoder_that_is_not_json_is_refused() {
    let sound = synthetic_tokenizer_json(512).unwrap();
    let at = sound.find("\"decoder\"").unwrap();
    for damage in [r#""decoder": "\ud800", "#.to_string(), format!("\"decoder\": {}", "[".repeat(1000))] {
        let json =
            format!("{}{damage}{}", &sound[..at], &sound[at..].replacen("\"decoder\"", "\"other\"", 1));
        let error = Tokenizer::from_json(Path::new("x"), json.as_bytes(), &config()).unwrap_err();
        assert!(matches!(error, TokenizerError::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn a_larger_models_tokenizer_is_refused() {
    let json = synthetic_tokenizer_json(513).unwrap();
    let error = Tokenizer::from_json(Path::new("x"), json.as_bytes(), &config()).unwrap_err();
    assert!(matches!(error, TokenizerError::VocabTooLarge { id: 512, vocab_size: 512, .. }), "{error:?}");
    let mut config = config();
    config.bos_token_id = 600;
    config.vocab_size = 1000;
    let json = synthetic_tokenizer_json(512).unwrap();
    let error = Tokenizer::from_json(Path::new("x"), json.as_bytes(), &config).unwrap_err();
    assert!(matches!(error, TokenizerError::NoBos { id: 600, .. }), "{error:?}");
}

fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = tokenizer.stream();
    let mut text: String = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    text.push_str(&stream.finish().unwrap());
    text
}

#[test]
fn characters_appear_whole_and_as_early_as_is_certain() {
    let tokenizer = synthetic();
    let ids = tokenizer.encode("é!x").unwrap();
    let mut stream = tokenizer.stream();
    let texts: Vec<_> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert_eq!(texts, ["", "", "", "é!", "x"]);
    assert_eq!(stream.finish().unwrap(), "");
}

/// A tokenizer whose pieces are bytes written as characters, GPT-2's way: no byte pieces to tell by.
#[test]
fn byte_level_vocabularies_stream_too() {
    let byte_level = changed(|json| {
        json["normalizer"] = Value::Null;
        json["pre_tokenizer"] =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        json["decoder"] =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        json["model"]["byte_fallback"] = json!(false);
        json["model"]["merges"] = json!([]);
        json["model"]["vocab"] = json!({
            "<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<start_of_turn>": 4, "<end_of_turn>": 5,
            "a": 6, "Ã": 7, "©": 8, "Ġ": 9,
        });
    })
    .unwrap();
    let ids = byte_level.encode("aé a").unwrap();
    assert_eq!(ids, [2, 6, 7, 8, 9, 6]);
    assert_eq!(streamed(&byte_level, &ids), "aé a");
    assert_eq!(streamed(&byte_level, &[6, 7]), "a\u{fffd}");
}

proptest! {
    #[test]
    fn text_survives_a_round_trip(text in "\\PC*") {
        prop_assume!(!text.contains('▁') && !text.contains('<'));
        let tokenizer = synthetic();
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap(), text);
    }

    #[test]
    fn streaming_equals_decoding_at_once(ids in prop::collection::vec(0_u32..600, 0..80)) {
        let tokenizer = synthetic();
        prop_assert_eq!(streamed(tokenizer, &ids), tokenizer.decode(&ids).unwrap());
    }

    #[test]
    fn streaming_valid_text_equals_it(text in "[a-z é漢😀\n\t▁]{0,30}") {
        let tokenizer = synthetic();
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(streamed(tokenizer, &ids), text.replace('▁', " "));
    }
}
