//! Prompts, texts, conversations and token ids that no model can take. All are refused before a plugin starts.

use std::fs::{self, File};

use crate::sandbox::{Sandbox, refused};

const GENERATE: &str = "generate --model model";
const GENERATE_IDS: &str = "generate --model model --token-ids ids.json";
const SCORE_IDS: &str = "score --model model --token-ids ids.json";

fn with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    sandbox
}

#[test]
fn token_ids_that_are_none() {
    let sandbox = with_model();
    for (ids, parts) in [
        ("[1, -2]", ["sequence 0, position 1", "-2 is no token id"]),
        ("[1.5]", ["sequence 0, position 0", "1.5 is no token id"]),
        ("[[1], [2, 99999999999]]", ["sequence 1, position 1", "99999999999 is no token id"]),
        ("[99999999999999999999999999]", ["position 0", "is no token id"]),
        ("[\"the\"]", ["position 0", "\"the\" is no token id"]),
        ("[1, 2, 100000]", ["sequence 0, position 2", "token id 100000 is not in the vocabulary"]),
        ("[[1], [4294967295]]", ["sequence 1, position 0", "4294967295 is not in the vocabulary"]),
        ("[]", ["ids.json", "it is empty"]),
        ("[[]]", ["sequence 0", "is empty"]),
        ("[[1], [], [2]]", ["sequence 1", "is empty"]),
        ("[1, [2]]", ["ids.json", "item 0 (counted from 0) is 1"]),
        ("{\"ids\": [1]}", ["ids.json", "not an array"]),
        ("[1, 2", ["ids.json", "line 1"]),
        ("", ["ids.json", "EOF"]),
        ("\u{1}", ["ids.json", "line 1"]),
    ] {
        sandbox.write("ids.json", ids);
        sandbox.refuses(GENERATE_IDS, &parts);
        sandbox.refuses(SCORE_IDS, &parts);
    }
    for (arguments, name) in [
        ("generate --model model --token-ids -", "standard input is no JSON array"),
        ("generate --model model --chat -", "standard input is no conversation"),
    ] {
        let mut piped = sandbox.command(arguments);
        piped.stdin(File::open(sandbox.path("ids.json")).unwrap());
        refused(piped, &[name]);
    }
    sandbox.write("ids.json", [b'[', 0xff]);
    sandbox.refuses(GENERATE_IDS, &["ids.json"]);
    sandbox.write("ids.json", "[".repeat(100_000));
    sandbox.refuses(GENERATE_IDS, &["ids.json", "recursion limit"]);
    sandbox.refuses("score --model model --token-ids nowhere.json", &["cannot read nowhere.json"]);
    sandbox.refuses("score --model model --token-ids model", &["cannot read model", "directory"]);
}

#[test]
fn the_vocabulary_is_told() {
    let sandbox = with_model();
    sandbox.write("ids.json", "[512]");
    sandbox.refuses(SCORE_IDS, &["512 ids are 0 to 511"]);
}

#[test]
fn longer_than_the_context() {
    let sandbox = with_model();
    let long = [vec![1; 3], vec![1; 65]];
    sandbox.write("ids.json", format!("{long:?}"));
    for command in [GENERATE_IDS, SCORE_IDS] {
        sandbox.refuses(command, &["sequence 1", "65 tokens", "context is 64", "shorten it"]);
    }
    sandbox.write("long.txt", "word ".repeat(100));
    sandbox.refuses("score --model model --file long.txt", &["tokens, but the model's context is 64"]);
    let stdin = File::open(sandbox.path("long.txt")).unwrap();
    let mut piped = sandbox.command(GENERATE);
    piped.stdin(stdin);
    refused(piped, &["context is 64"]);
}

#[test]
fn empty_texts_are_named() {
    let sandbox = with_model();
    let refuses = |arguments: &[&str], parts: &[&str]| {
        refused(sandbox.command_of(arguments), parts);
    };
    let generate = ["generate", "--model", "model"];
    refuses(&[&generate[..], &["--prompt", ""]].concat(), &["--prompt is empty"]);
    refuses(&[&generate[..], &["--chat", "--prompt", ""]].concat(), &["--prompt is empty"]);
    let batch = [&generate[..], &["--prompt", "a", "--prompt", ""]].concat();
    refuses(&batch, &["--prompt 1 (counted from 0) is empty"]);
    refuses(&["score", "--model", "model", "--text", ""], &["--text is empty"]);
    refuses(&generate, &["standard input is empty", "--prompt"]);
    sandbox.write("empty.txt", "");
    sandbox.refuses("score --model model --file empty.txt", &["empty.txt is empty"]);
}

#[test]
fn text_that_is_not_utf8() {
    let sandbox = with_model();
    sandbox.write("bad.txt", b"abc\xff");
    for command in ["score --model model --file bad.txt", "tokenize --model model --file bad.txt"] {
        sandbox.refuses(command, &["bad.txt is not UTF-8", "offset 3"]);
    }
    for command in [GENERATE, "score --model model", "tokenize --model model"] {
        let mut piped = sandbox.command(command);
        piped.stdin(File::open(sandbox.path("bad.txt")).unwrap());
        refused(piped, &["standard input is not UTF-8", "offset 3"]);
    }
    sandbox.refuses("tokenize --model model --file nowhere.txt", &["cannot read nowhere.txt"]);
}

#[test]
fn models_without_a_usable_tokenizer() {
    let sandbox = with_model();
    let tokenizer = sandbox.path("model/tokenizer.json");
    let sound = fs::read(&tokenizer).unwrap();
    fs::remove_file(&tokenizer).unwrap();
    for command in [
        "generate --model model --prompt hi",
        "generate --model model --chat --prompt hi",
        "score --model model --text hi",
        "tokenize --model model --text hi",
    ] {
        sandbox.refuses(command, &["model has no tokenizer.json", "--token-ids"]);
    }
    sandbox.write("ids.json", "[1]");
    sandbox.refuses("generate --model model --token-ids ids.json --stop x", &["no tokenizer.json"]);

    for damaged in [&sound[..sound.len() / 2], b"{}", b"null", b"\xff"] {
        fs::write(&tokenizer, damaged).unwrap();
        sandbox.refuses("generate --model model --prompt hi", &["model/tokenizer.json is not a tokenizer"]);
    }
}

#[test]
fn conversations_that_cannot_be_answered() {
    let sandbox = with_model();
    for (messages, part) in [
        ("[{", "not valid JSON"),
        ("\"hi\"", "must be a list"),
        ("[]", "no user message"),
        ("[{\"role\": \"user\"}]", "message 0: `content` is missing"),
        ("[{\"role\": \"robot\", \"content\": \"a\"}]", "`role` is `robot`"),
        (
            "[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": \"b\"}]",
            "message 1 is from `user`, but `assistant` is next",
        ),
        ("[{\"role\": \"assistant\", \"content\": \"a\"}]", "message 0 is from `assistant`"),
        (
            "[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]",
            "ends with `user`",
        ),
    ] {
        sandbox.write("chat.json", messages);
        sandbox.refuses("generate --model model --chat chat.json", &["chat.json", part]);
        sandbox.refuses("tokenize --model model --chat chat.json", &["chat.json", part]);
    }
    sandbox.refuses("generate --model model --chat nowhere.json", &["cannot read nowhere.json"]);
    sandbox.refuses("generate --model model --chat chat.json --prompt hi", &["--chat", "--prompt"]);

    sandbox.write("chat.json", "[{\"role\": \"user\", \"content\": \"a\"}]");
    sandbox.write("model/tokenizer_config.json", "{\"chat_template\": \"{% if %}\"}");
    sandbox.refuses(
        "generate --model model --chat chat.json",
        &["chat template of model/tokenizer_config.json cannot be parsed"],
    );
}
