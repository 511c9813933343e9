//! This machine, apart from its plugins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use lapidary::runtime::plugins::Environment;
use serde::Serialize;

use super::probe::within;
use crate::cli::{cache, output};

/// How long Python may take to tell its version.
const PYTHON_LIMIT: Duration = Duration::from_secs(10);

/// Instruction sets that decide how fast a CPU runs a model, as the kernel names them: AVX and AMX of x86, then
/// those of Arm.
const TELLING_FEATURES: [&str; 14] = [
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
];

/// What matters of a machine.
#[derive(Serialize)]
pub struct Host {
    /// Processor, as it names itself.
    pub processor: Option<String>,
    /// Cores that this process may use.
    pub cores: Option<usize>,
    /// Which of the telling instruction sets it has.
    pub features: Vec<&'static str>,
    /// Bytes of memory.
    pub memory_total: Option<u64>,
    /// Bytes of memory that programs can still have.
    pub memory_available: Option<u64>,
    /// Where plugins are kept, and whether they can be.
    pub data: DataDirectory,
    /// Where executables are kept, and how many there are.
    pub cache: CacheDirectory,
    /// Version of Python, which plugins are fetched with.
    pub python: Option<String>,
    /// Version of its pip.
    pub pip: Option<String>,
}

/// The data directory.
#[derive(Serialize)]
pub struct DataDirectory {
    /// Where it is or would be.
    #[serde(serialize_with = "output::path_if_any")]
    pub path: Option<PathBuf>,
    /// Why nothing can be stored there.
    pub problem: Option<String>,
}

/// The cache of executables.
#[derive(Serialize)]
pub struct CacheDirectory {
    /// Where it is or would be.
    #[serde(serialize_with = "output::path_if_any")]
    pub path: Option<PathBuf>,
    /// Executables in it.
    pub executables: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Most bytes that they may have.
    pub max_bytes: Option<u64>,
    /// Why there is none, or nothing can be stored there.
    pub problem: Option<String>,
}

impl Host {
    /// Looks around.
    pub fn examine(environment: &Environment) -> Self {
        // What cannot be read is not known, which is how it is shown.
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let python = ["python3", "python"].into_iter().find_map(|name| Some((name, version(name, &[])?)));
        let pip = match &python {
            Some((name, _)) => version(name, &["-m", "pip"]),
            None => None,
        };
        Self {
            processor: field(&processors, "model name").map(str::to_owned),
            cores: thread::available_parallelism().ok().map(usize::from),
            features: features(&processors),
            memory_total: kibibytes(&memory, "MemTotal"),
            memory_available: kibibytes(&memory, "MemAvailable"),
            data: DataDirectory::examine(environment),
            cache: CacheDirectory::examine(),
            python: python.map(|(_, version)| version),
            pip: pip.or_else(|| ["pip3", "pip"].into_iter().find_map(|name| version(name, &[]))),
        }
    }
}

impl DataDirectory {
    fn examine(environment: &Environment) -> Self {
        let path = match environment.data_dir() {
            Ok(path) => path,
            Err(error) => return Self { path: None, problem: Some(error.to_string()) },
        };
        let problem = write_problem(&path);
        Self { path: Some(path), problem }
    }
}

impl CacheDirectory {
    fn examine() -> Self {
        let none = |problem| Self { path: None, executables: 0, bytes: 0, max_bytes: None, problem };
        let store = match cache::store() {
            Ok(Some(store)) => store,
            Ok(None) => return none(Some(cache::HOMELESS.to_owned())),
            Err(error) => return none(Some(error.to_string())),
        };
        let path = store.directory();
        let problem = write_problem(&path);
        let (stored, problem) = match store.list() {
            Ok(stored) => (stored, problem),
            Err(error) => (Vec::new(), Some(format!("it cannot be read: {error}"))),
        };
        Self {
            path: Some(path),
            executables: stored.len(),
            bytes: cache::total(&stored),
            max_bytes: Some(store.max_bytes()),
            problem,
        }
    }
}

/// Why nothing can be stored in a directory. It is created when it is first needed; until then its parent decides.
fn write_problem(path: &Path) -> Option<String> {
    let nearest = path.ancestors().find(|directory| directory.exists()).unwrap_or(Path::new("/"));
    // A file without a name, of which nothing stays.
    let error = tempfile::tempfile_in(nearest).err()?;
    Some(format!("{} cannot be written to: {error}", nearest.display()))
}

/// What a program answers to `--version`, up to where it says where it lies: `pip 24.0 from ...`.
fn version(program: &str, arguments: &[&str]) -> Option<String> {
    let answer = within(PYTHON_LIMIT, Command::new(program).args(arguments).arg("--version")).ok()?;
    answer.status.filter(|status| status.success())?;
    let line = answer.stdout.lines().next()?;
    Some(line.split(" from ").next()?.trim().to_owned())
}

/// The first value of a field of a file in `/proc`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let number: u64 = field(meminfo, name)?.strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

fn features(cpuinfo: &str) -> Vec<&'static str> {
    // x86, then Arm.
    let flags = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features")).unwrap_or_default();
    let flags: Vec<&str> = flags.split_whitespace().collect();
    TELLING_FEATURES.into_iter().filter(|feature| flags.contains(feature)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let x86 = "processor\t: 0\nmodel name\t: Some CPU @ 2:1\nflags\t\t: fpu avx512f amx_bf16 avx2\n";
        assert_eq!(field(x86, "model name"), Some("Some CPU @ 2:1"));
        assert_eq!(features(x86), ["avx2", "avx512f", "amx_bf16"]);
        assert_eq!(features("Features : fp asimd i8mm bf16\n"), ["i8mm", "bf16"]);
        let memory = "MemTotal:       16384 kB\nMemAvailable:   100 kB\n";
        assert_eq!(kibibytes(memory, "MemAvailable"), Some(100 << 10));
        assert_eq!(kibibytes(memory, "MemFree"), None);
        assert_eq!(kibibytes("MemTotal: much", "MemTotal"), None);
    }
}
