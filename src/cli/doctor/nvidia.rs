//! What else NVIDIA GPUs take: the driver, and NVIDIA's packages beside the plugin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lapidary::runtime::plugins::{CompanionState, Environment, PluginKind, Use, companions_beside};
use serde::Serialize;

use super::probe::within;
use crate::cli::output;

/// Where the driver's kernel module says what it is.
const VERSION_FILE: &str = "/proc/driver/nvidia/version";
/// The driver's part in user space, which the plugin opens.
const LIBRARY: &str = "libcuda.so.1";
/// The first branch of the driver that runs CUDA 13, whatever its minor version: table 1 of "Minor Version
/// Compatibility" in NVIDIA's guide to CUDA compatibility.
pub const OLDEST_BRANCH: u32 = 580;
/// How long the loader's list of libraries may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What was found out.
#[derive(Serialize)]
pub struct Nvidia {
    /// The driver.
    pub driver: Driver,
    /// NVIDIA's packages, of which some take part in compiling, and all in running.
    pub packages: Vec<CudaPackage>,
}

/// The driver, as far as it is here.
#[derive(Serialize)]
pub struct Driver {
    /// Version of its kernel module.
    pub version: Option<String>,
    /// Its library in user space.
    #[serde(serialize_with = "output::path_if_any")]
    pub library: Option<PathBuf>,
    /// The first branch that would do.
    pub oldest_branch: u32,
    /// Why the driver does not do.
    pub problem: Option<String>,
}

/// A package beside the plugin.
#[derive(Serialize)]
pub struct CudaPackage {
    /// Its name.
    pub name: &'static str,
    /// Its version, if it is recorded.
    pub version: Option<String>,
    /// What it is there for.
    pub reason: &'static str,
    /// Whether compiling takes it. Running takes them all.
    pub compiles: bool,
    /// Its first file that is there.
    #[serde(serialize_with = "output::path_if_any")]
    pub path: Option<PathBuf>,
    /// Names of its files that are not.
    pub missing: Vec<String>,
}

impl Nvidia {
    /// Looks at the driver, and at what lies beside a plugin's library.
    pub fn examine(environment: &Environment, library: Option<&Path>) -> Self {
        let beside = library.map(|library| companions_beside(PluginKind::Cuda, library));
        Self {
            driver: Driver::examine(environment),
            packages: beside.into_iter().flatten().map(CudaPackage::of).collect(),
        }
    }

    /// Whether the plugin has all that compiling takes.
    pub fn can_compile(&self) -> bool {
        let mut compilers = self.packages.iter().filter(|package| package.compiles).peekable();
        compilers.peek().is_some() && compilers.all(|package| package.missing.is_empty())
    }

    /// The packages that are not complete.
    pub fn missing(&self) -> impl Iterator<Item = &CudaPackage> {
        self.packages.iter().filter(|package| !package.missing.is_empty())
    }
}

impl CudaPackage {
    fn of(state: CompanionState) -> Self {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            name: state.companion.name,
            version: state.version,
            reason: state.companion.reason,
            compiles: state.companion.needed_to == Use::Compile,
            path: state.present.into_iter().next(),
            missing: state.missing.iter().map(name).collect(),
        }
    }
}

impl Driver {
    fn examine(environment: &Environment) -> Self {
        let version = fs::read_to_string(VERSION_FILE).ok().and_then(|text| version(&text));
        Self::judge(version, library(environment))
    }

    fn judge(version: Option<String>, library: Option<PathBuf>) -> Self {
        let branch = version.as_deref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        let problem = match (&version, &library, branch) {
            (None, None, _) => Some(format!("none: neither {VERSION_FILE} nor {LIBRARY} is here")),
            (None, Some(_), _) => {
                Some(format!("{LIBRARY} is here, but no kernel module of the driver is loaded"))
            }
            (Some(_), None, _) => {
                Some(format!("the kernel module is loaded, but the loader does not find {LIBRARY}"))
            }
            (Some(version), Some(_), Some(branch)) if branch < OLDEST_BRANCH => {
                Some(format!("version {version} is too old: CUDA 13 takes {OLDEST_BRANCH} or later"))
            }
            (Some(_), Some(_), _) => None,
        };
        Self { version, library, oldest_branch: OLDEST_BRANCH, problem }
    }
}

/// The version in the words of the kernel module: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun ...`.
fn version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let numbers = |word: &&str| {
        word.contains('.')
            && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    line.split_whitespace().find(numbers).map(str::to_owned)
}

/// Where the loader would find the driver's library.
fn library(environment: &Environment) -> Option<PathBuf> {
    let named = environment.variable("LD_LIBRARY_PATH").unwrap_or_default();
    let named = std::env::split_paths(named).map(|directory| directory.join(LIBRARY));
    named.into_iter().find(|path| path.exists()).or_else(|| {
        // Not everybody's PATH has it.
        ["ldconfig", "/sbin/ldconfig"].into_iter().find_map(|ldconfig| {
            let listed = within(LIMIT, Command::new(ldconfig).arg("-p")).ok()?;
            let line = listed.stdout.lines().find(|line| line.trim_start().starts_with(LIBRARY))?;
            Some(PathBuf::from(line.split(" => ").nth(1)?.trim()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_modules_say_what_they_are() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:11:05 UTC 2025\n\
                      GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n";
        assert_eq!(version(closed).as_deref(), Some("580.65.06"));
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.51  Release Build  (root@host)\n";
        assert_eq!(version(open).as_deref(), Some("575.51"));
        assert_eq!(version("GCC version: 12.3.0"), None);
    }

    #[test]
    fn what_is_wrong_with_a_driver_is_named() {
        let judge = |version: Option<&str>, library: Option<&str>| {
            Driver::judge(version.map(str::to_owned), library.map(PathBuf::from)).problem
        };
        let library = Some("/usr/lib/libcuda.so.1");
        assert_eq!(judge(Some("580.65.06"), library), None);
        assert_eq!(judge(Some("610.1"), library), None);
        let problem = |version, library| judge(version, library).unwrap();
        assert!(problem(Some("575.51.03"), library).contains("575.51.03 is too old: CUDA 13 takes 580"));
        assert!(problem(None, None).starts_with("none: neither"));
        assert!(problem(None, library).contains("no kernel module"));
        assert!(problem(Some("580.65.06"), None).contains("does not find libcuda.so.1"));
    }
}
