//! Commands on a terminal: the parts that only a person at a keyboard sees.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::ptr::null_mut;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::{has_cpu_plugin, lapidary, run_lapidary, tiny_model};

const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A program on a terminal of its own.
pub(super) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What has been shown and not yet been looked for.
    shown: String,
}

impl Terminal {
    /// Runs a command on the CPU.
    pub(super) fn run(command: &str, arguments: &[&str], home: &std::path::Path) -> Self {
        let (mut ours, mut theirs) = (0, 0);
        // SAFETY: both descriptors are written before the call returns; the other pointers may be null.
        let opened = unsafe { libc::openpty(&mut ours, &mut theirs, null_mut(), null_mut(), null_mut()) };
        assert_eq!(opened, 0);
        // SAFETY: both are open and nobody else's.
        let (keyboard, theirs) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
        // The child must not hold its own keyboard, or it would outlive us.
        // SAFETY: sets a flag of an open descriptor.
        assert_eq!(unsafe { libc::fcntl(keyboard.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }, 0);
        let mut command = lapidary(&[command, "--device", "cpu"]);
        command.args(arguments).env("LAPIDARY_PLUGIN_CPU", cpu_plugin()).env("LAPIDARY_HOME", home);
        command.env("TERM", "xterm");
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
        // SAFETY: both calls are allowed between fork and exec. They make the terminal the one whose keys are
        // signals to the child.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let (sender, screen) = mpsc::channel();
        let mut output = keyboard.try_clone().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal's end is an error, once the child has closed it.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen, shown: String::new() }
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until a text is shown, and returns what came before it.
    pub(super) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown.find(text) {
                let before = self.shown[..at].to_owned();
                self.shown.drain(..at + text.len());
                return before;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("`{text}` is not shown ({error}), but {:?}", self.shown),
            }
        }
    }

    pub(super) fn wait_for_end(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the command does not end");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A command whose test has failed; one that has ended cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cpu_plugin() -> std::path::PathBuf {
    use lapidary::runtime::plugins::{self, Environment, PluginKind};
    plugins::find(&Environment::from_process(), PluginKind::Cpu, None).unwrap().path
}

#[test]
fn keys_edit_stop_and_end() {
    if !has_cpu_plugin() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Answers long enough to be stopped, by far: this one says the same thing again and again.
    let model = tiny_model(directory.path(), &["--context", "16000"]);
    let arguments = ["--model", &model, "--device", "cpu", "-q", "-n", "3"];
    let answer = run_lapidary(&[&["generate", "--chat", "--prompt", "Hello"], &arguments[..]].concat());
    let piece = answer.stdout.trim().to_owned();
    assert!(!piece.is_empty());
    let home = directory.path().join("home");
    let mut chat = Terminal::run("chat", &["--model", &model, "-n", "15000"], &home);
    chat.wait_for("Ctrl-D ends");
    chat.wait_for("> ");

    // Typed at once, as a paste is: an unknown command, corrected by two backspaces into a known one.
    chat.press("/helping\x7f\x7f\x7f\r/nonsense\r");
    chat.wait_for("Ctrl-C stops an answer");
    chat.wait_for("no command /nonsense");
    // Ctrl-C between prompts does nothing, and at the prompt clears the line.
    chat.press(CTRL_C);
    chat.wait_for("> ");
    chat.press(&format!("/exit{CTRL_C}"));
    chat.wait_for("> ");
    chat.press("/system one\\\rtwo\r/system\r");
    chat.wait_for("The instructions hold");
    chat.wait_for("There are no instructions");
    // Each answer can be stopped.
    for _ in 0..2 {
        chat.press("/reset\rHello\r");
        chat.wait_for(&piece);
        chat.press(CTRL_C);
        chat.wait_for("[stopped |");
        chat.wait_for("> ");
    }
    chat.press(CTRL_D);
    assert_eq!(chat.wait_for_end(), Some(0));

    let history = std::fs::read_to_string(home.join("chat_history")).unwrap();
    assert!(history.contains("/help\n") && history.contains("/system one"), "{history}");
    assert!(!history.contains("/exit"), "{history}");
}
