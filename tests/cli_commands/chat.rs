use std::io::Write;
use std::process::Stdio;

use super::{Run, has_cpu_plugin, lapidary, run_lapidary, tiny_model};

/// `chat` with these lines piped in.
fn chat(arguments: &[&str], lines: &[u8]) -> Run {
    let mut command = lapidary(&["chat", "--device", "cpu"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may refuse its arguments without reading anything.
    let _ = child.stdin.take().unwrap().write_all(lines);
    child.wait_with_output().unwrap().into()
}

#[test]
fn each_line_is_answered_in_the_light_of_those_before() {
    if !has_cpu_plugin() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // The built-in model, whose answers have no line breaks and are read by its tokenizer as they were written.
    let chat = |lines: &str| {
        let ended = chat(&["-n", "6", "--quiet"], lines.as_bytes());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{lines}");
        ended.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let answers = chat("Hello\n\nHello\n/reset\nHello\n/system Shout.\nHello\n/exit\nHello\n");
    let [first, second, after_reset, _] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(first, after_reset, "greedy answers to the same conversation");

    // What was said and answered is what `generate` makes of the same messages.
    let messages = serde_json::json!([
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Hello"},
    ]);
    let file = directory.path().join("messages.json");
    std::fs::write(&file, messages.to_string()).unwrap();
    let file = file.display().to_string();
    let generated = run_lapidary(&["generate", "--device", "cpu", "-n", "6", "-q", "--chat", &file]);
    assert_eq!(generated.stdout, format!("{second}\n"), "{}", generated.stderr);
}

/// The built-in model's answers are text that its tokenizer reads as it was written.
#[test]
fn a_turn_reads_only_what_is_new() {
    if !has_cpu_plugin() {
        return;
    }
    let ended = chat(&["-n", "40", "-v"], b"Hello!\nWho are you?\n/reset\nHello!\n");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = ended.stderr.lines().filter_map(|line| line.strip_prefix("prompt: "));
    let turns: Vec<(usize, usize)> = lines
        .map(|line| {
            let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
            (numbers.next().unwrap(), numbers.next().unwrap())
        })
        .collect();
    let [first, second, after_reset] = turns[..] else { panic!("{}", ended.stderr) };
    assert_eq!(first.0, 0);
    assert!(second.0 > first.1, "all of the first prompt, and its answer: {turns:?}");
    assert!(second.1 < second.0, "{turns:?}");
    assert_eq!(after_reset, first);
}

#[test]
fn a_line_that_cannot_be_answered_ends_a_piped_chat() {
    if !has_cpu_plugin() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path(), &["--context", "64"]);
    for (lines, part) in [
        (&b"/restart\nHello\n"[..], "no command /restart; /help lists them"),
        (b"\xff\n", "cannot read line 1"),
        (&[b'x'; 100], "model's context of 64; /reset starts anew"),
    ] {
        let ended = chat(&["--model", &model, "-n", "2", "--quiet"], lines);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{part}");
        assert!(ended.stderr.contains(part) && ended.stderr.contains("line 1"), "{}", ended.stderr);
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path(), &["--vocab", "300"]);
    for (arguments, part) in [
        (["--model", &model, "--temperature", "0"], "no tokenizer.json"),
        (["--model", &model, "--temperature", "-1"], "temperature"),
        (["--model", "/nowhere", "--temperature", "0"], "/nowhere"),
    ] {
        let ended = chat(&arguments, b"Hello\n");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{part}");
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}
