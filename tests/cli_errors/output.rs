//! Places that results cannot be written to.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use safetensors::SafeTensors;

use crate::sandbox::{Sandbox, collect, refused, run, wait};

const SCORE: &str = "score --model model --token-ids ids.json";

fn with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    sandbox.write("ids.json", "[[1, 2, 3, 4, 5, 6, 7, 8], [9, 10]]");
    sandbox
}

/// Runs a command whose standard output is closed from the start.
fn run_into_closed_pipe(mut command: Command) -> (Option<i32>, String) {
    // Nobody reads it before the command begins: a quick one could else be done in time.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = collect(child.stderr.take());
    let code = wait(&mut child);
    (code, String::from_utf8(stderr.join().unwrap()).unwrap())
}

#[test]
fn a_closed_pipe_is_one_line_and_no_panic() {
    let sandbox = with_model();
    let closed = "error: standard output was closed before everything was written\n";
    let tokenize = sandbox.command("tokenize --model model --text hello");
    assert_eq!(run_into_closed_pipe(tokenize), (Some(2), closed.to_string()));
    for command in [
        "generate --model model --prompt hello --ignore-eos",
        "generate --model model --prompt hello --json",
        SCORE,
    ] {
        let Some(command) = sandbox.command_with_plugin(command) else { return };
        assert_eq!(run_into_closed_pipe(command), (Some(2), closed.to_string()));
    }
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let sandbox = with_model();
    let mut command = sandbox.command("score --model nowhere --token-ids ids.json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(wait(&mut child), Some(2));
}

#[test]
#[cfg(target_os = "linux")]
fn standard_output_on_a_full_disk() {
    let sandbox = with_model();
    let mut command = sandbox.command("tokenize --model model --text hello --json");
    command.stdout(File::create("/dev/full").unwrap()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = collect(child.stderr.take());
    assert_eq!(wait(&mut child), Some(2));
    let stderr = String::from_utf8(stderr.join().unwrap()).unwrap();
    assert!(stderr.contains("cannot write to standard output: No space left"), "{stderr}");
}

/// Known before a plugin is started.
#[test]
fn logits_to_where_no_file_can_be() {
    let sandbox = with_model();
    let before = sandbox.files();
    sandbox.refuses(&format!("{SCORE} --logits nowhere/out"), &["cannot write nowhere/out", "nowhere"]);
    sandbox.refuses(&format!("{SCORE} --logits ids.json/out"), &["cannot write ids.json/out"]);
    sandbox.refuses(&format!("{SCORE} --logits model"), &["cannot write model", "not a regular file"]);
    for file in ["model/model.safetensors", "./model/config.json"] {
        sandbox.refuses(&format!("{SCORE} --logits {file}"), &["cannot write", file, "model's directory"]);
    }
    let _socket = UnixListener::bind(sandbox.path("socket")).unwrap();
    sandbox.refuses(&format!("{SCORE} --logits socket"), &["cannot write socket", "not a regular file"]);
    fs::remove_file(sandbox.path("socket")).unwrap();
    if cfg!(target_os = "linux") {
        // No one creates files there, not even the superuser.
        sandbox.refuses(&format!("{SCORE} --logits /proc/out"), &["cannot write /proc/out"]);
    }
    assert_eq!(sandbox.files(), before);
}

/// Limits the size of files, where a full disk cannot be had.
#[test]
fn logits_that_do_not_fit_leave_the_old_file() {
    let sandbox = with_model();
    sandbox.write("out", "the old file");
    let before = sandbox.files();
    let Some(scoring) = sandbox.command_with_plugin(&format!("{SCORE} --logits out")) else { return };
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 4; exec \"$0\" \"$@\""]).arg(scoring.get_program());
    limited.args(scoring.get_args()).current_dir(scoring.get_current_dir().unwrap());
    limited.envs(scoring.get_envs().filter_map(|(name, value)| Some((name, value?))));
    refused(limited, &["cannot write out; nothing was left there", "File too large"]);
    assert_eq!(sandbox.files(), before);
    assert_eq!(fs::read_to_string(sandbox.path("out")).unwrap(), "the old file");

    let outcome = run(scoring);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let bytes = fs::read(sandbox.path("out")).unwrap();
    let logits = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(logits.tensor("logits.0").unwrap().shape(), [8, 512]);
    assert_eq!(sandbox.files(), before);
}
