//! Executables on disk, so that only the first start compiles.
//!
//! An executable is known by the SHA-256 of all that decides what the compiler makes of a program: its text, the
//! compile options, the plugin, its devices, this machine's processor, and flags from the environment. What is read
//! back is checked; what is wrong with it, or with the disk, makes a program compile and never fail.

mod entry;
mod key;
mod library;
mod outcome;
mod parameters;
mod platform;
mod processor;
mod store;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use lapidary_runtime::{Client, CompileOptions, LoadedExecutable, Program, Result};

pub use entry::Defect;
pub use outcome::{CacheOutcome, Compilation, EngineProgram, MissReason, Origin, Origins};
pub use processor::{Processor, ProcessorError};
pub use store::{ExecutableStore, StoreError, StoredExecutable};

use entry::Entry;
use key::Key;
use platform::Platform;

/// A store as the executables of one client are found in it.
#[derive(Clone, Debug)]
pub struct ExecutableCache(Access);

#[derive(Clone, Debug)]
enum Access {
    Off(String),
    On { store: ExecutableStore, platform: Key },
}

impl ExecutableCache {
    /// The executables of `client` in `store`. Where these cannot be told from others, the cache is off.
    pub fn new(store: ExecutableStore, client: &Client) -> Self {
        match Platform::of_client(client, &store.library_memo()) {
            Ok(platform) => Self(Access::On { store, platform: platform.key() }),
            Err(error) => Self::off(error.to_string()),
        }
    }

    /// No cache, for a reason that people are told: every program is compiled.
    pub fn off(reason: impl Into<String>) -> Self {
        Self(Access::Off(reason.into()))
    }

    /// The SHA-256 of a plugin's library in hexadecimal digits, which the store remembers.
    pub(crate) fn library_digest(&self, library: &Path) -> io::Result<String> {
        match &self.0 {
            Access::On { store, .. } => library::library_digest(library, &store.library_memo()),
            Access::Off(_) => library::content_digest(library),
        }
    }

    /// The executable of a program on the devices of `client`: from the store, or else compiled and stored. `name`
    /// is for people.
    ///
    /// # Errors
    /// The compiler's. All others end up in the outcome.
    pub(crate) fn load_or_compile(
        &self,
        client: &Client,
        text: &str,
        options: &CompileOptions,
        name: &str,
    ) -> Result<(LoadedExecutable, CacheOutcome)> {
        let compile = || client.compile(&Program::stablehlo(text), options);
        let (store, platform) = match &self.0 {
            Access::Off(reason) => return Ok((compile()?, CacheOutcome::Off(reason.clone()))),
            Access::On { store, platform } => (store, platform),
        };
        let key = Key::of_program(platform, text, &options.serialize(&client.device_ids())?);
        let reason = match load(store, client, &key) {
            Ok((executable, compile_time)) => return Ok((executable, CacheOutcome::Hit { compile_time })),
            Err(reason) => reason,
        };
        let started = Instant::now();
        let executable = compile()?;
        let not_stored = keep(store, &executable, &key, name, started.elapsed()).err();
        Ok((executable, CacheOutcome::Miss { reason, not_stored }))
    }
}

fn load(
    store: &ExecutableStore,
    client: &Client,
    key: &Key,
) -> std::result::Result<(LoadedExecutable, Duration), MissReason> {
    let bytes = store.read(key).map_err(MissReason::Unreadable)?.ok_or(MissReason::Absent)?;
    let entry = Entry::read(&bytes, key)?;
    let executable = match parameters::from_bytes(entry.parameters) {
        Some(parameters) => client.load_executable_with(entry.executable, parameters),
        None => client.load_executable(entry.executable),
    };
    Ok((executable.map_err(|error| MissReason::Refused(Box::new(error)))?, entry.compile_time))
}

fn keep(
    store: &ExecutableStore,
    executable: &LoadedExecutable,
    key: &Key,
    name: &str,
    compile_time: Duration,
) -> std::result::Result<(), StoreError> {
    let bytes = executable.serialize().map_err(|error| StoreError::Serialize(Box::new(error)))?;
    // A plugin that cannot tell them is asked again by who needs them, and gets its error there.
    let parameters = executable.parameters().ok().map(parameters::to_bytes).unwrap_or_default();
    let entry = Entry { name, compile_time, parameters: &parameters, executable: &bytes };
    store.write(key, &[&entry.head(key), &bytes])
}
