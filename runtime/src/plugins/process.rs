//! Child processes that cannot outlive their use.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often a waiting loop looks again: soon enough to feel immediate, seldom enough to cost nothing.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// How long the output of a child that has ended is waited for. It is there already, unless the child has
/// left children of its own that hold the pipe open.
const OUTPUT_LIMIT: Duration = Duration::from_secs(2);

/// A running child that is killed when its owner goes away.
pub(super) struct Running {
    child: Child,
    output: [mpsc::Receiver<Vec<u8>>; 2],
}

impl Running {
    /// Starts the command, whose output is kept in memory.
    pub(super) fn start(mut command: Command) -> io::Result<Running> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = [collect(child.stdout.take()), collect(child.stderr.take())];
        Ok(Running { child, output })
    }

    /// How the child ended, or `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// What a child that has ended wrote to standard output and to standard error.
    pub(super) fn output(&self) -> [String; 2] {
        self.output.each_ref().map(|pipe| {
            let bytes = pipe.recv_timeout(OUTPUT_LIMIT).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that has ended and been waited for, which is what we want of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// Runs a command that should answer at once and returns what it wrote to standard output, or one line
/// that says why there is no answer.
pub(super) fn answer(command: Command, limit: Duration) -> Result<String, String> {
    let mut child = Running::start(command).map_err(|error| format!("cannot be started: {error}"))?;
    let deadline = Instant::now() + limit;
    loop {
        match child.ended() {
            Ok(Some(status)) => {
                let [stdout, stderr] = child.output();
                if status.success() {
                    return Ok(stdout);
                }
                let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
                return Err(format!("{status}: {}", last.trim()));
            }
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL / 5),
            Ok(None) => return Err(format!("no answer within {} s", limit.as_secs())),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
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
