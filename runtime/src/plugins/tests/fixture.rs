//! A data directory, a `PATH` with fake programs on it, and small wheels.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::{Environment, HOME_VARIABLE, Package, Platform, PluginKind, Wheel};

/// The library's path in every fake wheel.
pub(super) const LIBRARY: &str = "fake_plugin/lib/plugin.so";
/// The licence in the wheel of [`good_wheel`].
pub(super) const LICENSE: &str = "Do as you like.";

/// A temporary directory with `home` (the data directory) and `bin` (fake programs) in it.
pub(super) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        Fixture { dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Surroundings that see the fake programs and the system's shell tools, but no real interpreter.
    pub(super) fn environment(&self) -> Environment {
        let tools = self.path("tools");
        if !tools.exists() {
            fs::create_dir(&tools).unwrap();
            for tool in ["cat", "cp", "sleep"] {
                std::os::unix::fs::symlink(format!("/bin/{tool}"), tools.join(tool)).unwrap();
            }
        }
        let path = std::env::join_paths([self.path("bin"), tools]).unwrap();
        Environment::default().with("PATH", path).with(HOME_VARIABLE, self.path("home"))
    }

    /// Puts a shell script on the `PATH`.
    ///
    /// A child process makes the file: were it open for writing here while another test starts a process,
    /// that process would inherit it, and running the script would fail with "text file busy".
    pub(super) fn program(&self, name: &str, script: &str) {
        let draft = self.path("draft");
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        let made = Command::new("install")
            .args(["-m", "755"])
            .args([draft, self.path("bin").join(name)])
            .status()
            .unwrap();
        assert!(made.success());
    }

    /// A `python3` whose pip notes its arguments and then does what `download` says. The script may use
    /// `$dest` (where the wheel belongs) and `$root` (the fixture's directory).
    pub(super) fn pip(&self, download: &str) {
        let root = self.dir.path().display();
        self.program(
            "python3",
            &format!(
                "root='{root}'\n\
                 if [ \"$*\" = '-m pip --version' ]; then echo 'pip 99'; exit; fi\n\
                 echo \"$@\" >> \"$root/pip.calls\"\n\
                 for a in \"$@\"; do [ \"$previous\" = --dest ] && dest=\"$a\"; previous=\"$a\"; done\n\
                 {download}"
            ),
        );
    }

    /// A pip that delivers `wheel` under the name `package` gives it.
    pub(super) fn pip_delivers(&self, package: &Package, wheel: &[u8]) {
        fs::write(self.path("the.whl"), wheel).unwrap();
        self.pip(&format!("cp \"$root/the.whl\" \"$dest/{}\"", package.wheels[0].file));
    }

    /// The arguments of each time pip was asked to download.
    pub(super) fn pip_calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("pip.calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Every file below the data directory but the lock.
    pub(super) fn left_in_home(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.path("home"));
        files.retain(|path| path.file_name().unwrap() != ".lock");
        files
    }
}

/// Every file and every empty directory below `directory`.
pub(super) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let below = if entry.path().is_dir() { files_below(&entry.path()) } else { Vec::new() };
        files.extend(if below.is_empty() { vec![entry.path()] } else { below });
    }
    files
}

/// Bytes that pass for a library of this machine.
pub(super) fn fake_library(text: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    bytes.extend(Platform::current().unwrap().elf_machine().to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// A wheel of these members.
pub(super) fn wheel_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A wheel with a good library in it.
pub(super) fn good_wheel() -> Vec<u8> {
    wheel_of(&[
        ("fake_plugin/__init__.py", b""),
        ("fake_plugin/LICENSE", LICENSE.as_bytes()),
        (LIBRARY, &fake_library("the library")),
    ])
}

/// A package whose only wheel, for this machine, is pinned to the hash of `wheel`. (Pins are `'static`,
/// so the few bytes are leaked.)
pub(super) fn package_of(wheel: &[u8]) -> Package {
    let sha256: String = Sha256::digest(wheel).iter().map(|byte| format!("{byte:02x}")).collect();
    let wheel = Wheel {
        platform: Platform::current().unwrap(),
        file: "fake_plugin-9.9.9-py3-none-any.whl",
        tag: "fake_platform",
        sha256: sha256.leak(),
        bytes: wheel.len() as u64,
    };
    Package {
        kind: PluginKind::Cpu,
        name: "fake-plugin",
        version: "9.9.9",
        description: "A package for tests.",
        library: LIBRARY,
        notices: &["fake_plugin/LICENSE"],
        pjrt_api: (0, 0),
        wheels: vec![wheel].leak(),
        companions: &[],
    }
}
