//! Trying a plugin out in a process of its own, which it may abort or hang as it likes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use lapidary::runtime::plugins::PluginKind;
use lapidary::runtime::{Client, Device, Plugin};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::cli::{device, output};

/// Name of the command that the child runs.
pub const PROBE_COMMAND: &str = "doctor-probe";

/// How long a plugin may take. A cold one on a slow disk needs seconds, a TPU a few more.
const LIMIT: Duration = Duration::from_secs(20);
/// How often a child is looked after.
const POLL: Duration = Duration::from_millis(10);
/// Lines of a dead child's standard error that are shown.
const LAST_LINES: usize = 4;

/// What a plugin says of itself and of its devices.
#[derive(Debug, Serialize, Deserialize)]
pub struct Findings {
    /// Version of the PJRT API.
    pub api_version: String,
    /// The plugin's attributes, such as versions of XLA and StableHLO.
    pub attributes: BTreeMap<String, Json>,
    /// Its client, where one was made.
    pub client: Option<ClientFindings>,
    /// Why none could be made.
    pub client_failure: Option<String>,
}

/// What a client says.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientFindings {
    /// `cpu`, `tpu`, `cuda`.
    pub platform: String,
    /// In the platform's own words.
    pub platform_version: String,
    /// All devices, in every process.
    pub devices: Vec<DeviceFindings>,
}

/// What is known of a device.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceFindings {
    /// Global id.
    pub id: i32,
    /// As the vendor names it.
    pub kind: String,
    /// Whether this machine can use it.
    pub addressable: bool,
    /// Bytes in use, where the platform counts them.
    pub memory_in_use: Option<i64>,
    /// Most bytes that can be in use.
    pub memory_limit: Option<i64>,
}

/// Arguments of the child.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    kind: PluginKind,
    library: PathBuf,
    /// Make a client too: only where the hardware is present.
    #[arg(long)]
    client: bool,
}

/// The child: loads the plugin and prints [`Findings`] on the last line of standard output.
///
/// # Errors
/// If the plugin does not load.
pub fn run(args: ProbeArgs) -> Result<()> {
    let plugin = Plugin::load(&args.library)?;
    let attributes = plugin.attributes().iter().map(|(name, value)| (name.clone(), json!(value)));
    let mut findings = Findings {
        api_version: plugin.api_version().to_string(),
        attributes: attributes.collect(),
        client: None,
        client_failure: None,
    };
    if args.client {
        match Client::create(&plugin, &device::client_options(args.kind, 1)?) {
            Ok(client) => findings.client = Some(ClientFindings::of(&client)),
            Err(error) => findings.client_failure = Some(error.to_string()),
        }
    }
    output::json(&findings)
}

/// The parent: tries a library out, making a client if its hardware is attached.
///
/// # Errors
/// What the child said last, if it failed, died or took too long.
pub fn in_child(kind: PluginKind, library: &Path, attached: bool) -> Result<Findings, String> {
    let mut command = match std::env::current_exe() {
        Ok(this_program) => Command::new(this_program),
        Err(error) => return Err(format!("this program cannot find itself to start a child: {error}")),
    };
    command.arg(PROBE_COMMAND).arg(kind.name()).arg(library);
    if attached {
        command.arg("--client");
    }
    command.envs(device::environment(kind).iter().copied());
    let answer =
        within(LIMIT, &mut command).map_err(|error| format!("it could not be tried out: {error}"))?;
    match answer.status {
        Some(status) if status.success() => {
            let last = answer.stdout.lines().next_back().unwrap_or_default();
            serde_json::from_str(last).map_err(|error| format!("its description cannot be read: {error}"))
        }
        // The child reports an error as all commands do.
        Some(status) if status.code().is_some() => Err(answer.last_words("it does not load")),
        Some(status) => Err(answer.last_words(&format!("it died while it was tried out ({status})"))),
        None => Err(answer.last_words(&format!("it did not answer within {} s", LIMIT.as_secs()))),
    }
}

/// What a child left behind.
pub struct Answer {
    /// How it ended; `None` if it had to be killed.
    pub status: Option<ExitStatus>,
    /// Standard output.
    pub stdout: String,
    stderr: String,
}

impl Answer {
    fn last_words(&self, what: &str) -> String {
        let lines: Vec<&str> = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        match last {
            [] => what.to_owned(),
            [only] => format!("{what}: {}", only.trim_start_matches("error: ")),
            several => format!("{what}:\n{}", several.join("\n")),
        }
    }
}

/// Runs a command for at most `limit`. Its output goes through files, which no one has to read meanwhile and no
/// grandchild can keep open.
///
/// # Errors
/// If it cannot be started or watched.
pub fn within(limit: Duration, command: &mut Command) -> io::Result<Answer> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child =
        command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).spawn()?;
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() < deadline => thread::sleep(POLL),
            None => {
                child.kill()?;
                child.wait()?;
                break None;
            }
        }
    };
    Ok(Answer { status, stdout: whole(&mut stdout)?, stderr: whole(&mut stderr)? })
}

fn whole(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl ClientFindings {
    fn of(client: &Client) -> Self {
        Self {
            platform: client.platform_name().to_owned(),
            platform_version: client.platform_version().to_owned(),
            devices: client.devices().iter().map(DeviceFindings::of).collect(),
        }
    }
}

impl DeviceFindings {
    fn of(device: &Device) -> Self {
        // A device elsewhere does not tell, nor does one whose platform does not count.
        let memory = device.memory_stats().ok().flatten();
        Self {
            id: device.id(),
            kind: device.description().kind.clone(),
            addressable: device.is_addressable(),
            memory_in_use: memory.map(|memory| memory.bytes_in_use),
            memory_limit: memory.and_then(|memory| memory.bytes_limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_child_that_dies_leaves_its_last_words() {
        let mut command = shell("for i in 1 2 3 4 5 6; do echo line $i >&2; done; kill -ABRT $$");
        let answer = within(LIMIT, &mut command).unwrap();
        assert!(answer.status.is_some_and(|status| status.code().is_none()));
        assert_eq!(answer.last_words("it died"), "it died:\nline 3\nline 4\nline 5\nline 6");
    }

    #[test]
    fn a_child_that_hangs_is_killed_even_if_a_grandchild_lives_on() {
        let started = Instant::now();
        let mut command = shell("echo waiting >&2; sleep 30 & exec sleep 30");
        let answer = within(Duration::from_millis(300), &mut command).unwrap();
        assert!(answer.status.is_none());
        assert_eq!(answer.last_words("it did not answer"), "it did not answer: waiting");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
