//! The model that is part of the program.

use serde_json::Value;

use super::{has_cpu_plugin, lapidary, run, run_lapidary, tiny_model};

const ANNOUNCEMENT: &str = "model: pebble, the built-in small Gemma 2 (";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn it_is_the_default_and_says_so() {
    let by_default = run_lapidary(&["tokenize", "--text", "Once upon a time", "--json"]);
    assert_eq!(by_default.code, Some(0), "{}", by_default.stderr);
    assert!(by_default.stderr.starts_with(ANNOUNCEMENT), "{}", by_default.stderr);
    assert_eq!(by_default.stderr.lines().count(), 1);
    let named = run_lapidary(&["tokenize", "--model", "pebble", "--text", "Once upon a time", "--json"]);
    assert_eq!((named.code, named.stderr.as_str()), (Some(0), ""), "who names it knows");
    assert_eq!(by_default.stdout, named.stdout);

    // A directory of that name is meant by it.
    let directory = tempfile::tempdir().unwrap();
    let tiny = tiny_model(directory.path(), &[]);
    std::fs::rename(&tiny, directory.path().join("pebble")).unwrap();
    let mut command = lapidary(&["tokenize", "--model", "pebble", "--text", "Once upon a time", "--json"]);
    let other = run(command.current_dir(directory.path()));
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    assert_ne!(other.stdout, named.stdout);
}

/// No figures here, which are those of the training: only that it has been trained, and on this.
#[test]
fn it_is_evaluated_on_what_it_comes_with() {
    if !has_cpu_plugin() {
        return;
    }
    let texts = run_lapidary(&["eval", "--device", "cpu", "--limit", "4", "--json"]);
    assert_eq!(texts.code, Some(0), "{}", texts.stderr);
    assert!(texts.stderr.starts_with(ANNOUNCEMENT), "{}", texts.stderr);
    assert!(texts.stderr.contains("documents that pebble was not trained on"), "{}", texts.stderr);
    let texts = json(&texts.stdout);
    assert_eq!(
        (&texts["documents"], &texts["settings"]["source"]),
        (&4.into(), &"pebble/heldout.jsonl".into())
    );
    assert_eq!(
        (&texts["settings"]["model"], &texts["settings"]["context"]),
        (&"pebble".into(), &1024.into())
    );
    let perplexity = texts["perplexity"].as_f64().unwrap();
    assert!((1.0..8.0).contains(&perplexity), "1536 of a model that has learned nothing, not {perplexity}");

    let questions =
        run_lapidary(&["eval", "--model", "pebble", "--device", "cpu", "--tasks", "--limit", "8", "--json"]);
    assert_eq!(questions.code, Some(0), "{}", questions.stderr);
    assert_eq!(questions.stderr, "questions: of facts that pebble was not trained on\n");
    let questions = json(&questions.stdout);
    assert_eq!(
        (&questions["total"]["n"], &questions["settings"]["source"]),
        (&8.into(), &"pebble/tasks.jsonl".into())
    );
}
