use std::fs;

use serde_json::{Value, json};

use super::{has_cpu_plugin, run_lapidary, tiny_model};

/// A directory with a model of a short context, whose numbers are exact enough to compare.
struct Bench {
    directory: tempfile::TempDir,
    model: String,
}

impl Bench {
    /// `None`, said aloud, where there is no plugin outside CI.
    fn new() -> Option<Self> {
        has_cpu_plugin().then(|| {
            let directory = tempfile::tempdir().unwrap();
            let model = tiny_model(directory.path(), &["--context", "64", "--dtype", "f32"]);
            Self { directory, model }
        })
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// What a command that takes a model prints.
    fn run(&self, command: &[&str]) -> String {
        let [name, arguments @ ..] = command else { panic!("no command") };
        let mut all = vec![*name, "--quiet", "--model", &self.model];
        if *name != "tokenize" {
            all.extend(["--device", "cpu"]);
        }
        all.extend(arguments);
        let ended = run_lapidary(&all);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{command:?}");
        ended.stdout
    }

    fn json(&self, command: &[&str]) -> Value {
        serde_json::from_str(&self.run(command)).unwrap()
    }

    fn tokens(&self, file: &str) -> Vec<u64> {
        let ids = self.json(&["tokenize", "--json", "--file", file]);
        ids["token_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[track_caller]
fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} and {b}");
}

const TEXT: &str = "The miller has a red ball and a grey cat. The cat is in the barn, and the ball is in the \
                    river.\nWho has the cat? The miller. Where is the ball? In the river, and it is wet.\n";

/// The likelihoods that `score` gives the same windows, cut here by hand, are those of `eval`.
#[test]
fn perplexity_is_that_of_score_on_the_same_windows() {
    let Some(bench) = Bench::new() else { return };
    let text = bench.file("text.txt", TEXT);
    let (context, stride) = (40, 15);
    let found = bench.json(&["eval", &text, "--json", "--context", "40", "--stride", "15", "--batch", "3"]);

    let ids = bench.tokens(&text);
    let (bos, document) = ids.split_first().unwrap();
    assert!(document.len() > 2 * context, "{}", document.len());
    let mut windows = Vec::new();
    let mut scored = Vec::new();
    let mut reached = 0;
    while reached < document.len() {
        let start = windows.len() * stride;
        let end = (start + context - 1).min(document.len());
        windows.push([&[*bos], &document[start..end]].concat());
        scored.push(end - reached);
        reached = end;
    }
    let ids = bench.file("windows.json", &json!(windows).to_string());
    let scores = bench.json(&["score", "--token-ids", &ids, "--json"]);
    let mut nll = Vec::new();
    for (score, scored) in scores["sequences"].as_array().unwrap().iter().zip(scored) {
        let all = score["nll"].as_array().unwrap();
        nll.extend(all[all.len() - scored..].iter().map(number));
    }
    assert_eq!(nll.len(), document.len());
    let mean = nll.iter().sum::<f64>() / nll.len() as f64;

    assert_eq!(found["documents"], 1);
    assert_eq!(found["windows"], windows.len());
    assert_eq!(found["tokens"], document.len());
    assert_eq!(found["bytes"], TEXT.len());
    assert_close(number(&found["mean_nll"]), mean);
    assert_close(number(&found["perplexity"]), mean.exp());
    let bits = nll.iter().sum::<f64>() / 2_f64.ln() / TEXT.len() as f64;
    assert_close(number(&found["bits_per_byte"]), bits);
    let variance = nll.iter().map(|nll| (nll - mean).powi(2)).sum::<f64>() / (nll.len() - 1) as f64;
    assert_close(number(&found["mean_nll_stderr"]), (variance / nll.len() as f64).sqrt());
    assert!(number(&found["tokens_per_s"]) > 0.0 && number(&found["seconds"]) > 0.0);
    let settings = json!({
        "model": bench.model, "dtype": "f32", "source": text,
        "context": context, "stride": stride, "batch": 3, "limit": null,
    });
    assert_eq!(found["settings"], settings);

    let printed = bench.run(&["eval", &text, "--context", "40", "--stride", "15"]);
    let values: Vec<&str> =
        printed.lines().filter_map(|line| line.rsplit_once("  ")).map(|(_, v)| v).collect();
    let [documents, windows, tokens, mean_nll, perplexity, bits_per_byte, _speed] = values[..] else {
        panic!("{printed}")
    };
    assert_eq!(documents, "1");
    assert_eq!(windows, found["windows"].to_string());
    assert_eq!(tokens, found["tokens"].to_string());
    assert!(mean_nll.starts_with(&format!("{mean:.4} ± ")), "{printed}");
    assert_eq!(perplexity, format!("{:.4}", mean.exp()));
    assert_eq!(bits_per_byte, format!("{bits:.4}"));
}

#[test]
fn the_size_of_a_batch_makes_no_difference() {
    let Some(bench) = Bench::new() else { return };
    let lines = TEXT.split_inclusive(' ').collect::<Vec<_>>();
    // From one word to more than a window.
    let documents = [1, 2, 7, 30].map(|words| json!({ "text": lines[..words].concat() }).to_string());
    let file = bench.file("documents.jsonl", &documents.join("\n"));
    let with = |batch: &str| bench.json(&["eval", &file, "--json", "--context", "32", "--batch", batch]);
    let one = with("1");
    assert_eq!((&one["documents"], &one["settings"]["stride"]), (&json!(4), &json!(16)));
    for batch in ["3", "100"] {
        let found = with(batch);
        for field in ["documents", "windows", "tokens", "bytes"] {
            assert_eq!(found[field], one[field], "{field}");
        }
        assert_close(number(&found["mean_nll"]), number(&one["mean_nll"]));
        assert_close(number(&found["mean_nll_stderr"]), number(&one["mean_nll_stderr"]));
    }
}

#[test]
fn a_document_is_the_same_in_every_form() {
    let Some(bench) = Bench::new() else { return };
    let rendered = "<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\nThe cat.<end_of_turn>\n";
    let messages = json!([{"role": "user", "content": "Who?"}, {"role": "model", "content": "The cat."}]);
    let ids = bench.tokens(&bench.file("rendered.txt", rendered));
    let found = |line: Value| {
        let file = bench.file("one.jsonl", &format!("\n{line}\n\n"));
        bench.json(&["eval", &file, "--json"])
    };
    let text = found(json!({"text": rendered, "id": 7}));
    assert_eq!(text["tokens"], ids.len() - 1);
    assert_eq!(text["bytes"], rendered.len());
    assert_eq!(text["settings"]["context"], 64, "the model's own");
    for line in [json!({"text": format!("<bos>{rendered}")}), json!({"messages": messages})] {
        let same = found(line);
        for field in ["tokens", "bytes", "mean_nll", "bits_per_byte"] {
            assert_eq!(same[field], text[field], "{field}");
        }
    }
    let file = bench.file("ids.json", &json!([ids, ids[1..], ids]).to_string());
    let from_file = bench.json(&["eval", "--token-ids", &file, "--limit", "2", "--json"]);
    assert_eq!(from_file["documents"], 2, "with BOS and without");
    assert_eq!(from_file["tokens"], 2 * (ids.len() - 1));
    for same in [found(json!({"token_ids": ids})), from_file] {
        assert_close(number(&same["mean_nll"]), number(&text["mean_nll"]));
        assert_eq!((&same["bytes"], &same["bits_per_byte"]), (&Value::Null, &Value::Null));
    }
}

/// Some of the right answers are what the model says, and so known to be right.
#[test]
fn answers_are_counted_by_task() {
    let Some(bench) = Bench::new() else { return };
    let asked = |question: &str| json!([{"role": "user", "content": question}]);
    let dialogue = json!([
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Who has it?"},
    ]);
    let file = bench.file("messages.json", &dialogue.to_string());
    let has_it = bench.run(&["generate", "-n", "6", "--chat", &file]);
    let both = ["generate", "-n", "6", "--json", "--prompt", "Who?", "--prompt", "How many?", "--chat"];
    let both = bench.json(&both);
    let [who, how_many] = [0, 1].map(|row| both["generations"][row]["text"].as_str().unwrap().trim());
    assert!(![has_it.trim(), who, how_many].contains(&""), "an empty answer is no right one");
    let questions = [
        json!({"task": "who", "messages": dialogue, "answer": format!("  {has_it} ")}),
        json!({"task": "who", "messages": asked("Who?"), "answer": "Nobody."}),
        json!({"task": "count", "messages": asked("How many?"), "answer": "Ten.", "accept": [how_many]}),
    ];
    let file = bench.file("questions.jsonl", &questions.map(|line| line.to_string()).join("\n"));
    let found =
        |more: &[&str]| bench.json(&[&["eval", "--tasks", &file, "-n", "6", "--json"], more].concat());
    let results = found(&["--batch", "2"]);
    let counts = |tally: &Value| (tally["n"].as_u64().unwrap(), tally["correct"].as_u64().unwrap());
    assert_eq!(counts(&results["tasks"]["who"]), (2, 1));
    assert_eq!(counts(&results["tasks"]["count"]), (1, 1));
    assert_eq!(counts(&results["total"]), (3, 2));
    assert_close(number(&results["total"]["accuracy"]), 2.0 / 3.0);
    let [low, high] = &results["total"]["interval"].as_array().unwrap()[..] else { panic!("{results}") };
    assert!(0.2 < number(low) && number(high) < 0.95, "{low} {high}");
    let [wrong] = &results["wrong"].as_array().unwrap()[..] else { panic!("{results}") };
    assert_eq!((&wrong["task"], &wrong["message"]), (&json!("who"), &json!("Who?")));
    assert_eq!((&wrong["expected"], &wrong["got"]), (&json!("Nobody."), &json!(who)));
    assert_eq!(results["settings"]["max_new_tokens"], 6);
    let first = found(&["--batch", "1", "--limit", "2"]);
    assert_eq!(counts(&first["total"]), (2, 1));
    assert_eq!(first["wrong"], results["wrong"]);

    let printed = bench.run(&["eval", "--tasks", &file, "-n", "6", "-v"]);
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..4], ["count", "1", "1", "100.0%"], "{printed}");
    assert_eq!(rows[2][..4], ["who", "2", "1", "50.0%"], "{printed}");
    assert_eq!(rows[3], ["total", "3", "2", "66.7%", "20.8%", "to", "93.9%"], "{printed}");
    assert!(printed.contains("\nwho: Who?\n  expected: Nobody.\n  got:      "), "{printed}");
}
