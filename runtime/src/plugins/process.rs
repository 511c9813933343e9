//! Child processes that cannot outlive their use.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often a waiting loop looks again: soon enough to feel immediate, seldom enough to cost nothing.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// A running child that is killed when its owner goes away.
pub(super) struct Running(Child);

impl Running {
    /// Starts the command.
    pub(super) fn start(command: &mut Command) -> io::Result<Running> {
        command.spawn().map(Running)
    }

    /// How the child ended, or `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that has ended and been waited for, which is what we want of it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command that should answer at once and returns what it wrote to standard output, or one line
/// that says why there is no answer.
pub(super) fn answer(mut command: Command, limit: Duration) -> Result<String, String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running::start(&mut command).map_err(|error| format!("cannot be started: {error}"))?;
    let (stdout, stderr) = (collect(child.0.stdout.take()), collect(child.0.stderr.take()));
    let deadline = Instant::now() + limit;
    let text = |pipe: mpsc::Receiver<Vec<u8>>| {
        let bytes = pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    loop {
        match child.ended() {
            Ok(Some(status)) if status.success() => return Ok(text(stdout)),
            Ok(Some(status)) => {
                let stderr = text(stderr);
                let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
                return Err(format!("{status}: {}", last.trim()));
            }
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL / 5),
            Ok(None) => return Err(format!("no answer within {} s", limit.as_secs())),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// Reads a pipe on a thread of its own, because a child blocks once a pipe that nobody reads is full.
fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing; the receiver may have given up.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new(Path::new("/bin/sh"));
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_answer_longer_than_a_pipe_holds_is_read_whole() {
        let text = answer(shell("head -c 300000 /dev/zero"), Duration::from_secs(20)).unwrap();
        assert_eq!(text.len(), 300_000);
    }

    #[test]
    fn a_failure_keeps_the_last_line_of_standard_error() {
        let why =
            answer(shell("echo first >&2; echo last >&2; exit 3"), Duration::from_secs(20)).unwrap_err();
        assert!(why.contains("last") && why.contains('3') && !why.contains("first"), "{why}");
    }

    #[test]
    fn a_silent_child_is_given_up() {
        let start = Instant::now();
        let why = answer(shell("exec sleep 60"), Duration::from_secs(1)).unwrap_err();
        assert!(why.contains("no answer within 1 s"), "{why}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
