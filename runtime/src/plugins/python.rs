//! The user's Python: its pip, and the directories that it imports packages from.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::process::answer;
use super::{Environment, Error};

/// How long an interpreter may take to start: a cold one on a slow disk needs seconds.
const PIP_START_LIMIT: Duration = Duration::from_secs(30);

/// How long discovery waits for an interpreter before it goes on without.
const SITE_LIMIT: Duration = Duration::from_secs(5);

/// A way of running pip that has been seen to work.
pub(super) struct Pip {
    program: PathBuf,
    arguments: &'static [&'static str],
}

impl Pip {
    /// The commands that can be pip, best first. An interpreter's own module comes before a bare `pip`,
    /// which may belong to an interpreter that has since been removed.
    const COMMANDS: [(&'static str, &'static [&'static str]); 4] =
        [("python3", &["-m", "pip"]), ("python", &["-m", "pip"]), ("pip3", &[]), ("pip", &[])];

    /// Finds a pip that answers.
    pub(super) fn find(environment: &Environment) -> Result<Pip, Error> {
        let mut tried = Vec::new();
        for (name, arguments) in Pip::COMMANDS {
            let Some(program) = environment.program(name) else {
                tried.push(format!("{name}: not on PATH"));
                continue;
            };
            let pip = Pip { program, arguments };
            let mut command = pip.command(environment);
            command.arg("--version");
            match answer(command, PIP_START_LIMIT) {
                Ok(_) => return Ok(pip),
                Err(why) => tried.push(format!("{}: {why}", pip.shown())),
            }
        }
        Err(Error::NoPip { tried })
    }

    /// The command that runs pip, to which its arguments are added.
    pub(super) fn command(&self, environment: &Environment) -> Command {
        let mut command = environment.command(&self.program);
        command.args(self.arguments);
        command
    }

    /// The command as a person would type it.
    pub(super) fn shown(&self) -> String {
        let mut text = self.program.display().to_string();
        for argument in self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text
    }
}

/// The directories that the user's interpreter imports from, with the interpreter; or why there are none.
pub(super) fn import_path(environment: &Environment) -> Result<(PathBuf, Vec<PathBuf>), String> {
    let interpreter = ["python3", "python"]
        .into_iter()
        .find_map(|name| environment.program(name))
        .ok_or("no python3 or python on PATH")?;
    let mut command = environment.command(&interpreter);
    command.args(["-c", "import sys; print(*filter(None, sys.path), sep='\\n')"]);
    let output = answer(command, SITE_LIMIT).map_err(|why| format!("{} {why}", interpreter.display()))?;
    Ok((interpreter, output.lines().map(PathBuf::from).collect()))
}
