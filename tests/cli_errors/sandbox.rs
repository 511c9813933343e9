//! A directory of its own for each test, the command run in it, and what came of it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::synth::{SynthOptions, synth};
use tempfile::TempDir;

/// Far longer than any command here takes on the slowest machine.
const HANGS: Duration = Duration::from_secs(240);

/// A file that no test creates. Commands are told that their plugin is there, so that bad input that is noticed
/// only after the plugin has started is noticed by its test.
const NO_PLUGIN: &str = "the-plugin-was-started-too-early.so";

pub struct Sandbox {
    directory: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Names of all files, hidden ones included, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A checkpoint of one layer with a tokenizer, called `model`; `change` may alter its config.
    pub fn model(&self, change: impl FnOnce(&mut GemmaConfig)) -> Checkpoint {
        let mut config = GemmaConfig::tiny();
        config.num_layers = 1;
        config.layer_kinds.truncate(1);
        config.context = 64;
        change(&mut config);
        let options = SynthOptions { dtype: StoredDtype::F32, ..SynthOptions::default() };
        let directory = self.path("model");
        synth(&config, &directory, &options, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
        Checkpoint::open(&directory).unwrap()
    }

    /// The command with its arguments (split at spaces), in the sandbox, without a plugin.
    pub fn command(&self, arguments: &str) -> Command {
        self.command_of(&arguments.split(' ').collect::<Vec<_>>())
    }

    /// The command with arguments that may hold spaces or be empty.
    pub fn command_of(&self, arguments: &[&str]) -> Command {
        let mut command = crate::command::lapidary_command();
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("LAPIDARY_PLUGIN_CPU", NO_PLUGIN);
        command
    }

    /// The command with the real CPU plugin; `None`, said aloud, where it is missing outside CI.
    pub fn command_with_plugin(&self, arguments: &str) -> Option<Command> {
        let mut command = self.command(arguments);
        command.env("LAPIDARY_PLUGIN_CPU", crate::plugin_file::cpu_plugin()?);
        Some(command)
    }

    /// Runs the command and asserts that it refuses, naming all of `parts`.
    pub fn refuses(&self, arguments: &str, parts: &[&str]) {
        refused(self.command(arguments), parts);
    }
}

/// Runs a command and asserts that it refuses, naming all of `parts`.
pub fn refused(command: Command, parts: &[&str]) -> Outcome {
    let shown = format!("{command:?}");
    let outcome = run(command);
    outcome.assert_refusal(&shown, parts);
    outcome
}

impl Outcome {
    pub fn assert_refusal(&self, command: &str, parts: &[&str]) {
        let Self { code, stdout, stderr } = self;
        // With --nocapture: every message as a user sees it.
        println!("{stderr}");
        assert_eq!(*code, Some(2), "{command}: {self:?}");
        assert_eq!(stdout, "", "{command}");
        let errors = stderr.lines().filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{command}: {stderr}");
        assert!(!stderr.contains("panicked"), "{command}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{command}: no `{part}` in\n{stderr}");
        }
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let code = wait(&mut child);
    let text = |bytes: JoinHandle<Vec<u8>>| String::from_utf8(bytes.join().unwrap()).unwrap();
    Outcome { code, stdout: text(stdout), stderr: text(stderr) }
}

/// The exit code of a child; `None` if a signal ended it.
pub fn wait(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if started.elapsed() > HANGS {
            child.kill().unwrap();
            panic!("the command hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads a pipe to its end on a thread of its own, so that a child never waits for a reader.
pub fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Replaces the one occurrence of `from` in a file.
pub fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` in {text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}
