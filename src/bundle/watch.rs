//! Watching a process that may do anything.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::memory::peak_bytes;

/// How often a process is looked after.
const POLL: Duration = Duration::from_millis(20);
/// Lines of its standard error that are kept, and how far back they are looked for.
const LAST_LINES: usize = 4;
const LAST_BYTES: i64 = 4096;

/// How a process ended.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) end: End,
    /// The most memory that it was seen to have.
    pub(super) peak_bytes: Option<u64>,
    /// The last lines of its standard error.
    pub(super) last_words: String,
}

/// What ended a process.
#[derive(Debug)]
pub(super) enum End {
    /// It did itself, or the system, or somebody else.
    Exited(ExitStatus),
    /// It took too long.
    TimeLimit,
    /// A stop was asked for.
    Cancelled,
}

/// A process that does not outlive its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and been waited for, which is what we want of it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end, for at most `limit`, and until `poll` breaks.
///
/// Its standard input is a pipe that stays open while somebody watches: a process that reads it learns when it is
/// alone. What it writes to standard error goes to a file, which no one has to read meanwhile.
///
/// # Errors
/// If it cannot be started or watched.
pub(super) fn watch(
    command: &mut Command,
    limit: Duration,
    poll: &mut dyn FnMut() -> ControlFlow<()>,
) -> io::Result<Watched> {
    let mut stderr = tempfile::tempfile()?;
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr.try_clone()?);
    let mut running = Running(command.spawn()?);
    let started = Instant::now();
    let mut peak = None;
    let end = loop {
        if let Some(status) = running.0.try_wait()? {
            break End::Exited(status);
        }
        peak = peak_bytes(running.0.id()).or(peak);
        if poll().is_break() {
            break End::Cancelled;
        }
        if started.elapsed() >= limit {
            break End::TimeLimit;
        }
        thread::sleep(POLL.min(limit));
    };
    drop(running);
    Ok(Watched { end, peak_bytes: peak, last_words: last_words(&mut stderr)? })
}

fn last_words(stderr: &mut File) -> io::Result<String> {
    let length = stderr.seek(SeekFrom::End(0))?;
    let tail = LAST_BYTES.min(i64::try_from(length).unwrap_or(i64::MAX));
    stderr.seek(SeekFrom::End(-tail))?;
    let mut bytes = Vec::new();
    stderr.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn watch_shell(script: &str, limit: Duration, cancel: bool) -> Watched {
        let poll = &mut || if cancel { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        watch(Command::new("/bin/sh").args(["-c", script]), limit, poll).unwrap()
    }

    #[test]
    fn a_process_that_dies_leaves_its_last_words() {
        let script = "for i in 1 2 3 4 5 6; do echo line $i >&2; done; kill -ABRT $$";
        let watched = watch_shell(script, LONG, false);
        assert!(matches!(watched.end, End::Exited(status) if status.code().is_none()));
        assert_eq!(watched.last_words, "line 3\nline 4\nline 5\nline 6");
    }

    #[test]
    fn a_process_that_takes_too_long_is_killed() {
        let started = Instant::now();
        let watched = watch_shell("echo waiting >&2; exec sleep 60", Duration::from_millis(300), false);
        assert!(matches!(watched.end, End::TimeLimit), "{watched:?}");
        assert_eq!(watched.last_words, "waiting");
        assert!(watched.peak_bytes.is_some_and(|bytes| bytes > 0));
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(matches!(watch_shell("exec sleep 60", LONG, true).end, End::Cancelled));
    }
}
