//! Documents and questions that cannot be evaluated. All are refused before a plugin starts.

use crate::sandbox::Sandbox;

fn with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    sandbox.write("text.txt", "hello");
    sandbox
}

#[test]
fn documents_that_are_none() {
    let sandbox = with_model();
    for (lines, parts) in [
        ("{\"text\": \"a\"}\n\n{\"text\": ", &["docs.jsonl, line 3, column", "EOF"][..]),
        ("[1]\n", &["docs.jsonl, line 1", "invalid"]),
        ("{\"text\": 1}", &["docs.jsonl, line 1, column", "expected a string"]),
        ("{}", &["docs.jsonl, line 1", "one of `text`, `token_ids` and `messages`"]),
        ("{\"text\": \"a\", \"token_ids\": [1]}", &["docs.jsonl, line 1", "one of `text`"]),
        ("{\"text\": \"a\"}\n{\"text\": \"\"}", &["docs.jsonl, line 2 is empty"]),
        ("{\"text\": \"<bos>\"}", &["docs.jsonl, line 1 is empty"]),
        ("{\"token_ids\": []}", &["docs.jsonl, line 1 is empty"]),
        ("{\"token_ids\": [2]}", &["docs.jsonl, line 1 is empty", "BOS"]),
        ("{\"token_ids\": [2, -1]}", &["docs.jsonl, line 1", "position 1", "-1 is no token id"]),
        ("{\"token_ids\": [2, 512]}", &["docs.jsonl, line 1", "token id 512", "512 ids are 0 to 511"]),
        ("{\"messages\": 1}", &["docs.jsonl, line 1", "messages must be a list"]),
        (
            "{\"messages\": [{\"role\": \"robot\", \"content\": \"a\"}]}",
            &["docs.jsonl, line 1", "message 0: `role` is `robot`"],
        ),
        ("", &["docs.jsonl is empty"]),
        ("\n \n", &["docs.jsonl is empty"]),
    ] {
        sandbox.write("docs.jsonl", lines);
        sandbox.refuses("eval --model model docs.jsonl", parts);
    }
    sandbox.write("docs.jsonl", b"{\"text\": \"\xff\"}");
    sandbox.refuses("eval --model model docs.jsonl", &["docs.jsonl is not UTF-8"]);
    sandbox.refuses("eval --model model nowhere.jsonl", &["cannot read nowhere.jsonl"]);
    sandbox.refuses("eval --model model model", &["cannot read model"]);
    sandbox.write("empty.txt", "");
    sandbox.refuses("eval --model model empty.txt", &["empty.txt is empty"]);
    sandbox.refuses("eval --model model -", &["standard input is empty"]);
    sandbox.write("ids.json", "[[1], [512]]");
    sandbox.refuses("eval --model model --token-ids ids.json", &["ids.json, sequence 1", "token id 512"]);
    sandbox.write("ids.json", "[[1], [2]]");
    sandbox.refuses("eval --model model --token-ids ids.json", &["ids.json, sequence 1", "is empty"]);
}

#[test]
fn questions_that_are_none() {
    let sandbox = with_model();
    let question = |content: &str, rest: &str| {
        format!(
            "{{\"task\": \"t\", \"messages\": [{{\"role\": \"user\", \"content\": \"{content}\"}}]{rest}}}"
        )
    };
    let sound = question("a", ", \"answer\": \"b\"");
    for (line, parts) in [
        (question("a", ""), &["line 2, column", "missing field `answer`"][..]),
        (question("a", ", \"answer\": 1"), &["line 2, column", "expected a string"]),
        (question("a", ", \"answer\": \"b\", \"accept\": \"c\""), &["line 2, column", "expected a sequence"]),
        (question("a", ", \"answer\": \" \""), &["line 2", "empty answer"]),
        (question("a", ", \"answer\": \"b\", \"accept\": [\"\"]"), &["line 2", "empty answer"]),
        (question(&"word ".repeat(60), ", \"answer\": \"b\""), &["line 2", "context is 64"]),
        ("{\"messages\": [], \"answer\": \"b\"}".to_owned(), &["line 2, column", "missing field `task`"]),
        ("{\"task\": \"t\", \"messages\": [], \"answer\": \"b\"}".to_owned(), &["line 2", "no user message"]),
        (
            "{\"task\": \"t\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, \
             {\"role\": \"model\", \"content\": \"b\"}], \"answer\": \"b\"}"
                .to_owned(),
            &["line 2", "ends with `user`"],
        ),
    ] {
        sandbox.write("q.jsonl", format!("{sound}\n{line}\n"));
        let parts = [&["q.jsonl, "], parts].concat();
        sandbox.refuses("eval --model model --tasks q.jsonl", &parts);
    }
    sandbox.write("q.jsonl", "");
    sandbox.refuses("eval --model model --tasks q.jsonl", &["q.jsonl is empty"]);
    sandbox.refuses("eval --model model --tasks nowhere.jsonl", &["cannot read nowhere.jsonl"]);
}

#[test]
fn windows_that_do_not_fit() {
    let sandbox = with_model();
    for (flags, part) in [
        ("--context 65", "windows of 65 tokens are longer than the model's context, which is 64"),
        ("--context 1", "no room for BOS"),
        ("--context 0", "no room for BOS"),
        ("--stride 0", "a stride of 0 does not fit windows of 64 tokens"),
        ("--stride 64", "must be from 1 to 63"),
        ("--context 10 --stride 20", "must be from 1 to 9"),
        ("--context -1", "'-1' for '--context <N>': give a whole number"),
        ("--stride 1.5", "'--stride <N>': give a whole number"),
        ("--batch 0", "'--batch <N>': give at least 1"),
        ("--limit 0", "'--limit <N>': give at least 1"),
        ("--limit -3", "'--limit <N>': give a whole number"),
    ] {
        sandbox.refuses(&format!("eval --model model text.txt {flags}"), &[part]);
    }
}

#[test]
fn what_to_evaluate_on_must_be_clear() {
    let sandbox = with_model();
    sandbox.refuses("eval --model model", &["nothing to evaluate on", ".jsonl", "--token-ids", "--tasks"]);
    sandbox.refuses("eval --model model --tasks", &["no questions to ask", "--tasks FILE.jsonl"]);
    sandbox.refuses("eval --model model text.txt --token-ids ids.json", &["cannot be used with"]);
    sandbox.refuses("eval --model model text.txt --tasks q.jsonl", &["cannot be used with"]);
    sandbox.refuses("eval --model model --tasks q.jsonl --stride 3", &["--stride", "cannot be used with"]);
    sandbox.refuses("eval --model model text.txt --show-wrong", &["--show-wrong", "cannot be used with"]);
    sandbox.refuses("eval --model model --max-new-tokens 3", &["--tasks"]);
    std::fs::remove_file(sandbox.path("model/tokenizer.json")).unwrap();
    sandbox.refuses("eval --model model text.txt", &["model has no tokenizer.json", "--token-ids"]);
}
