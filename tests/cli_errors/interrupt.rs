//! Ctrl-C.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, collect, wait};

#[test]
fn ctrl_c_keeps_what_was_generated_and_exits_with_130() {
    let sandbox = Sandbox::new();
    sandbox.model(|config| config.context = 1 << 16);
    let arguments = "generate --model model --prompt hello --ignore-eos --max-new-tokens 65000";
    let Some(mut command) = sandbox.command_with_plugin(arguments) else { return };
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = collect(child.stderr.take());
    let mut stdout = child.stdout.take().unwrap();
    let mut text = vec![0];
    stdout.read_exact(&mut text).expect("the answer begins");

    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let asked = Instant::now();
    let rest = collect(Some(stdout));
    assert_eq!(wait(&mut child), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());

    text.extend(rest.join().unwrap());
    let text = String::from_utf8(text).unwrap();
    assert!(text.len() > 1 && text.ends_with('\n'), "{text}");
    let stderr = String::from_utf8(stderr.join().unwrap()).unwrap();
    assert_eq!(stderr, "interrupted\n");
}
