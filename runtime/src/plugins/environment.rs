//! What plugin discovery and installation read from the surroundings of the process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// The variable that overrides the directory in which Lapidary keeps its data.
pub const HOME_VARIABLE: &str = "LAPIDARY_HOME";

/// The environment variables and the user's data directory, as values.
///
/// Everything in this module takes its surroundings from here and never from the process itself, so that
/// tests can make up their own without touching process-wide state. Child processes get exactly these
/// variables.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    user_data_dir: Option<PathBuf>,
}

impl Environment {
    /// The surroundings of this process.
    pub fn from_process() -> Environment {
        Environment { variables: std::env::vars_os().collect(), user_data_dir: dirs::data_dir() }
    }

    /// The same surroundings with one variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Environment {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// A variable's value; one that is set but empty counts as unset.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The directory in which Lapidary keeps its data: `LAPIDARY_HOME`, or `lapidary` in the user's data
    /// directory (`XDG_DATA_HOME`, by default `~/.local/share`). It need not exist.
    pub fn data_dir(&self) -> Result<PathBuf, Error> {
        let directory = match self.variable(HOME_VARIABLE) {
            Some(home) => PathBuf::from(home),
            None => self.user_data_dir.as_deref().ok_or(Error::NoDataDir)?.join("lapidary"),
        };
        std::path::absolute(&directory)
            .map_err(|source| Error::io("make absolute the path", &directory, source))
    }

    /// The first executable file called `name` in the directories of `PATH`.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.variable("PATH")?).map(|dir| dir.join(name)).find(|path| executable(path))
    }

    /// A command that sees exactly these surroundings and can never wait for a person's answer.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lapidary_home_overrides_the_users_data_directory() {
        let user = Environment { user_data_dir: Some("/u/share".into()), ..Environment::default() };
        assert_eq!(user.data_dir().unwrap(), Path::new("/u/share/lapidary"));
        assert_eq!(user.clone().with(HOME_VARIABLE, "").data_dir().unwrap(), Path::new("/u/share/lapidary"));
        assert_eq!(user.with(HOME_VARIABLE, "/elsewhere").data_dir().unwrap(), Path::new("/elsewhere"));
    }

    #[test]
    fn no_home_at_all_is_an_error_that_names_the_variable() {
        let message = Environment::default().data_dir().unwrap_err().to_string();
        assert!(message.contains(HOME_VARIABLE), "{message}");
    }
}
