//! `lapidary cache`, and the cache that other commands use.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use indicatif::{BinaryBytes, HumanDuration};
use lapidary::engine::cache::{ExecutableCache, ExecutableStore, StoredExecutable};
use lapidary::runtime::Client;
use serde::Serialize;
use serde_json::json;

use super::args::{self, CacheArgs};
use super::output;
use super::table::Table;
use super::ui::Ui;

/// The variable that overrides the directory in which executables are kept.
const DIRECTORY_VARIABLE: &str = "LAPIDARY_CACHE_DIR";
/// The variable that says how large the cache may become.
const SIZE_VARIABLE: &str = "LAPIDARY_CACHE_SIZE";
/// Why there is no cache for users without a home.
pub const HOMELESS: &str = "there is no cache directory: set LAPIDARY_CACHE_DIR to one";

/// Arguments of `cache`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary cache list
  lapidary cache clear
  LAPIDARY_CACHE_DIR=/var/tmp/lapidary lapidary cache path

What programs compile to is kept, up to 2 GiB or LAPIDARY_CACHE_SIZE, so that only the first start compiles.")]
pub struct CacheCommandArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show the executables, the last used first.
    #[command(after_help = "Examples:
  lapidary cache list
  lapidary cache list --json")]
    List {
        /// Print {"path", "bytes", "max_bytes", "executables": [{"program", "compile_s", "bytes", "last_used", "path"}]}.
        #[arg(long)]
        json: bool,
    },
    /// Remove all executables.
    #[command(after_help = "Examples:
  lapidary cache clear")]
    Clear,
    /// Print the directory of the executables.
    #[command(after_help = "Examples:
  du -sh \"$(lapidary cache path)\"")]
    Path,
}

/// Lists, locates or removes executables.
///
/// # Errors
/// If the cache cannot be read or changed.
pub fn run(args: CacheCommandArgs, ui: &Ui) -> Result<()> {
    let store = store()?.ok_or_else(|| anyhow!(HOMELESS))?;
    match args.action {
        Action::List { json } => list(&store, json, ui),
        Action::Clear => clear(&store),
        Action::Path => Ok(output::line(store.directory().display())?),
    }
}

/// Where the environment says that executables are kept; `None` for a user without a home.
///
/// # Errors
/// If the environment asks for a size that is none.
pub fn store() -> Result<Option<ExecutableStore>> {
    let max_bytes = match variable(SIZE_VARIABLE) {
        None => ExecutableStore::DEFAULT_MAX_BYTES,
        Some(text) => args::size(&text.to_string_lossy())
            .map_err(|problem| anyhow!("{SIZE_VARIABLE} is `{}`: {problem}", text.display()))?,
    };
    Ok(directory()?.map(|root| ExecutableStore::new(root, max_bytes)))
}

/// The directory of everything that can be made anew; `None` for a user without a home.
///
/// # Errors
/// If there is no current directory that its path could begin at.
pub fn directory() -> Result<Option<PathBuf>> {
    let root = variable(DIRECTORY_VARIABLE).map(PathBuf::from);
    let root = root.or_else(|| Some(dirs::cache_dir()?.join("lapidary")));
    let absolute = |root: PathBuf| {
        std::path::absolute(&root).with_context(|| format!("{} cannot be made absolute", root.display()))
    };
    root.map(absolute).transpose()
}

/// A variable's value; one that is set but empty counts as unset.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A choice of the user's, made before there is a client.
pub enum CacheChoice {
    /// Look there.
    On(ExecutableStore),
    /// Compile, for this reason.
    Off(&'static str),
}

impl CacheChoice {
    /// What arguments and environment say.
    ///
    /// # Errors
    /// As [`store`].
    pub fn of(args: &CacheArgs) -> Result<Self> {
        if args.no_cache {
            return Ok(Self::Off("--no-cache"));
        }
        Ok(store()?.map_or(Self::Off(HOMELESS), Self::On))
    }

    /// The cache as the client's executables are found in it.
    pub fn open(self, client: &Client) -> ExecutableCache {
        match self {
            Self::On(store) => ExecutableCache::new(store, client),
            Self::Off(reason) => ExecutableCache::off(reason),
        }
    }
}

/// A line of `cache list`.
#[derive(Serialize)]
struct Listed {
    /// `None` for a damaged file.
    program: Option<String>,
    compile_s: Option<f64>,
    bytes: u64,
    /// Seconds since the Unix epoch.
    last_used: u64,
    #[serde(serialize_with = "output::path")]
    path: PathBuf,
}

impl Listed {
    fn of(stored: &StoredExecutable) -> Self {
        let (program, compile_time) = ExecutableStore::describe(stored).unzip();
        Self {
            program,
            compile_s: compile_time.map(|time| time.as_secs_f64()),
            bytes: stored.bytes,
            last_used: stored.last_used.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            path: stored.path.clone(),
        }
    }
}

fn stored(store: &ExecutableStore) -> Result<Vec<StoredExecutable>> {
    store.list().with_context(|| format!("{} cannot be read", store.directory().display()))
}

/// Bytes of all of them.
pub fn total(stored: &[StoredExecutable]) -> u64 {
    stored.iter().map(|executable| executable.bytes).sum()
}

/// So many executables, in words.
pub fn counted(executables: usize) -> String {
    format!("{executables} executable{}", if executables == 1 { "" } else { "s" })
}

fn list(store: &ExecutableStore, json: bool, ui: &Ui) -> Result<()> {
    let mut stored = stored(store)?;
    stored.reverse();
    if json {
        return output::json(&json!({
            "path": store.directory().display().to_string(),
            "bytes": total(&stored),
            "max_bytes": store.max_bytes(),
            "executables": stored.iter().map(Listed::of).collect::<Vec<_>>(),
        }));
    }
    if stored.is_empty() {
        ui.note(format_args!("no executables in {}", store.directory().display()));
        return Ok(());
    }
    let now = SystemTime::now();
    let mut table = Table::new(&["PROGRAM", "COMPILED IN", "SIZE", "LAST USED"]);
    for executable in &stored {
        let Listed { program, compile_s, bytes, .. } = Listed::of(executable);
        // Of a clock that was set back, the future is now.
        let age = now.duration_since(executable.last_used).unwrap_or(Duration::ZERO);
        table.row(vec![
            program.unwrap_or_else(|| "damaged".to_owned()),
            compile_s.map(|seconds| format!("{seconds:.1} s")).unwrap_or_default(),
            BinaryBytes(bytes).to_string(),
            format!("{} ago", HumanDuration(age)),
        ]);
    }
    output::text(&table.to_string())?;
    ui.remark(format_args!("{} of {}", BinaryBytes(total(&stored)), BinaryBytes(store.max_bytes())));
    Ok(())
}

fn clear(store: &ExecutableStore) -> Result<()> {
    let directory = store.directory();
    let removed = store.clear().with_context(|| format!("{} cannot be cleared", directory.display()))?;
    Ok(output::line(format_args!(
        "removed {} ({}) from {}",
        counted(removed.len()),
        BinaryBytes(total(&removed)),
        directory.display()
    ))?)
}
