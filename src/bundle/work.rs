//! The process that compiles one program.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lapidary_lower::sharding::{DeviceOrderError, MeshError};
use lapidary_runtime::{self as runtime, Attributes, CompileOptions, CompilerFlag, Program, Value};
use serde::Serialize;

use super::compiler::Compiler;
use super::digest::hexadecimal;
use super::dump::{dumped_text, import_flags};
use super::error::Reported;
use super::job::{Compiled, DUMP, Job, Outcome, Product, read, write};
use super::manifest::MemoryManifest;
use super::memory::peak_bytes;
use super::optimized::hlo_module;
use super::{EXECUTABLE_FILE, OPTIMIZED_FILE, OPTIMIZED_TEXT_FILE, PROGRAM_FILE};

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error(transparent)]
    Devices(#[from] DeviceOrderError),
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Something that every plugin that can serialize executables gives.
    #[error("the plugin does not say what its compiler made of the program: it gives {0}")]
    NoOptimizedProgram(String),
}

/// Does the job that a file describes. How it went is written where the job says, for the process that wants it.
///
/// # Errors
/// If the job cannot be read, or how it went cannot be written.
pub fn work(job: &Path) -> io::Result<()> {
    let job: Job = read(job)?;
    match &job.product {
        Product::Executable => job.answer(job.compile()),
        Product::ImportedHlo { plugin } => job.answer(job.import(plugin)),
    }
}

impl Job {
    fn answer<T: Serialize>(&self, result: Result<T, WorkError>) -> io::Result<()> {
        let outcome = match result {
            Ok(answer) => Outcome::Done(answer),
            Err(error) => Outcome::Failed(Reported::of(&error as &dyn Error)),
        };
        write(&self.outcome, &outcome)
    }

    fn program(&self) -> Result<String, WorkError> {
        using(&self.folder.join(PROGRAM_FILE), |path| fs::read_to_string(path))
    }

    fn options(&self, compiler: &Compiler) -> CompileOptions {
        let options = CompileOptions::new().device_assignment(vec![compiler.device_assignment.clone()]);
        let flags = self.flags.iter();
        flags
            .fold(options, |options, (name, value)| options.flag(name, value.clone()))
            .flag("xla_dump_to", CompilerFlag::String(DUMP.to_string()))
    }

    /// Compiles the program, writes what the compiler has made, and says what it says of it.
    fn compile(&self) -> Result<Compiled, WorkError> {
        let text = self.program()?;
        let compiler = Compiler::load(self)?;
        let started = Instant::now();
        let executable = compiler.compile(&Program::stablehlo(&text), &self.options(&compiler))?;
        let seconds = started.elapsed().as_secs_f64();

        let put =
            |name: &str, content: &[u8]| using(&self.folder.join(name), |path| fs::write(path, content));
        put(EXECUTABLE_FILE, &without_dump(executable.serialize()?))?;
        let optimized = executable.optimized_program()?;
        let format = optimized.format.clone();
        put(OPTIMIZED_FILE, &hlo_module(optimized).ok_or(WorkError::NoOptimizedProgram(format))?)?;
        if let Some(text) = dumped_text(&self.scratch.join(DUMP)) {
            using(&text, |text| fs::copy(text, self.folder.join(OPTIMIZED_TEXT_FILE)))?;
        }
        Ok(Compiled {
            device_kind: compiler.device_kind(),
            plugin: compiler.facts()?,
            device_assignment: compiler.device_assignment,
            seconds,
            memory: if_supported(executable.memory_stats())?.map(MemoryManifest::from),
            cost: if_supported(executable.cost_analysis())?.map(numbers),
            fingerprint: if_supported(executable.fingerprint())?.map(|bytes| hexadecimal(&bytes)),
            peak_process_bytes: peak_bytes(std::process::id()),
        })
    }

    /// Says what the plugin is, and has its compiler dump the program as it takes it.
    fn import(&self, plugin: &Path) -> Result<(), WorkError> {
        let text = self.program()?;
        let compiler = Compiler::load(self)?;
        let facts = compiler.facts()?;
        using(plugin, |path| write(path, &facts))?;
        compiler.compile(&Program::stablehlo(&text), &import_flags(self.options(&compiler)))?;
        Ok(())
    }
}

/// A stored executable that does not dump again when it is loaded, into whatever directory that happens in: plugins store
/// the options of its compilation with it. Their fields that ask for a dump get numbers of the same length that no field
/// has, so that whoever reads the messages passes over them.
fn without_dump(mut executable: Vec<u8>) -> Vec<u8> {
    // `xla_dump_to` of `DebugOptions`, field 109 in XLA's `xla.proto`, which becomes 2047.
    let field = [&[0xea, 0x06, DUMP.len() as u8], DUMP.as_bytes()].concat();
    renumber(&mut executable, &field, &[0xfa, 0x7f]);
    // Its entry in `env_option_overrides` of `CompileOptionsProto`, field 7 in `compile_options.proto`, which becomes 15.
    let text = |number: u8, text: &str| [&[number << 3 | 2, text.len() as u8], text.as_bytes()].concat();
    let value = text(1, DUMP);
    let entry = [text(1, "xla_dump_to"), vec![2 << 3 | 2, value.len() as u8], value].concat();
    let field = [&[7 << 3 | 2, entry.len() as u8], &entry[..]].concat();
    renumber(&mut executable, &field, &[15 << 3 | 2]);
    executable
}

/// Writes another number at the beginning of a field, wherever it is.
fn renumber(message: &mut [u8], field: &[u8], number: &[u8]) {
    let places: Vec<usize> = memchr::memmem::find_iter(message, field).collect();
    for place in places {
        if let Some(old) = message.get_mut(place..place + number.len()) {
            old.copy_from_slice(number);
        }
    }
}

fn using<T>(path: &Path, operation: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, WorkError> {
    operation(path).map_err(|source| WorkError::File { path: path.to_owned(), source })
}

/// What a plugin says; `None` if it has no such function.
pub(super) fn if_supported<T>(answer: runtime::Result<T>) -> runtime::Result<Option<T>> {
    match answer {
        Err(error) if error.is_unsupported() => Ok(None),
        answer => answer.map(Some),
    }
}

fn numbers(attributes: Attributes) -> BTreeMap<String, f64> {
    let number = |value| match value {
        Value::Float(number) => Some(f64::from(number)),
        Value::Int(number) => Some(number as f64),
        Value::String(_) | Value::Ints(_) | Value::Bool(_) => None,
    };
    attributes.into_iter().filter_map(|(name, value)| Some((name, number(value)?))).collect()
}

impl From<runtime::CompiledMemoryStats> for MemoryManifest {
    fn from(stats: runtime::CompiledMemoryStats) -> Self {
        Self {
            argument_bytes: stats.argument_bytes,
            output_bytes: stats.output_bytes,
            alias_bytes: stats.alias_bytes,
            temp_bytes: stats.temp_bytes,
            generated_code_bytes: stats.generated_code_bytes,
            peak_bytes: stats.peak_bytes,
        }
    }
}
