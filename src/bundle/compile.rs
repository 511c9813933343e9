//! The process that wants a bundle.

use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use lapidary_lower::Mesh;
use lapidary_runtime::plugins::LocatedPlugin;
use serde::de::DeserializeOwned;

use super::digest::size_and_sha256;
use super::error::{BundleError, Reported};
use super::job::{Compiled, DUMP, Devices, Job, Outcome, PluginFacts, Product, read, write};
use super::manifest::{
    BundleManifest, CompileManifest, CompileOptionsManifest, FORMAT, FileManifest, MemoryManifest,
    PluginManifest, ProgramManifest,
};
use super::shortage::Shortage;
use super::watch::{End, watch};
use super::{PROGRAM_FILE, PROGRAM_FILES, PROGRAMS, room};
use crate::engine::cache::Processor;
use crate::export::{self, Contents, Export, MANIFEST, NewDirectory, PROGRAM_SUFFIX, to_readable_json};
use crate::target::TargetSpec;

/// Exit code of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What to compile, for what, with what.
#[derive(Clone, Copy)]
pub struct CompileRequest<'a> {
    /// The programs, exported for `target` and `mesh`.
    pub export: &'a Export,
    /// The devices.
    pub target: &'a TargetSpec,
    /// Their arrangement.
    pub mesh: &'a Mesh,
    /// The plugin that compiles for them.
    pub plugin: &'a LocatedPlugin,
    /// How long each program may take.
    pub time_limit: Duration,
    /// Makes a command that takes one more argument, the path of a job, and passes it to [`work`](super::work). It
    /// should end when its standard input does, lest it compile for nobody.
    pub worker: &'a dyn Fn() -> Command,
}

/// How far compiling is. It is reported many times a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress<'a> {
    /// Programs that are compiled.
    pub done: usize,
    /// All programs.
    pub total: usize,
    /// The one that is being compiled.
    pub program: &'a str,
}

/// A bundle under way. Nothing is left of it unless it is completed.
#[derive(Debug)]
pub struct NewBundle {
    directory: NewDirectory,
}

const BUNDLE: Contents = Contents {
    kind: "bundle",
    has_file: |path| {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        match parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
            [file] => file == MANIFEST,
            [folder, _, file] => folder == PROGRAMS && PROGRAM_FILES.contains(&file),
            _ => false,
        }
    },
    has_folder: |path| path.starts_with(PROGRAMS) && path.iter().count() <= 2,
};

impl NewBundle {
    /// Begins a bundle that is to be `directory`.
    ///
    /// # Errors
    /// If the directory holds anything, unless `replace` is given and that is a bundle; if its parent cannot be
    /// written.
    pub fn create(directory: &Path, replace: bool) -> Result<Self, BundleError> {
        Ok(Self { directory: NewDirectory::create(directory, replace, &BUNDLE)? })
    }

    /// Compiles the programs, one after the other, and puts the bundle in place.
    ///
    /// # Errors
    /// If a program does not compile, in time or at all; [`BundleError::Cancelled`] if `progress` breaks; if a file
    /// cannot be written.
    pub fn compile(
        self,
        request: &CompileRequest<'_>,
        progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<BundleManifest, BundleError> {
        let devices = Devices::of(request.target, request.mesh)?;
        let exported = request.export.files.iter().zip(&request.export.manifest.programs);
        let total = request.export.files.len();
        let mut programs = Vec::new();
        let mut first: Option<Compiled> = None;
        for (done, ((file, text), program)) in exported.enumerate() {
            let name = file.strip_suffix(PROGRAM_SUFFIX).unwrap_or(file);
            let folder = Path::new(PROGRAMS).join(name);
            self.directory.write(folder.join(PROGRAM_FILE), text.as_bytes())?;
            let job = self.job(request, &devices, &folder)?;
            let compiled: Compiled =
                run(request, name, &job, &mut || progress(Progress { done, total, program: name }))?;
            check_memory(request.target, name, compiled.memory.as_ref())?;
            programs.push(ProgramManifest {
                name: name.to_string(),
                phase: program.phase.clone(),
                batch: program.batch,
                tokens: program.tokens,
                context: program.context,
                steps_per_dispatch: program.steps_per_dispatch,
                files: self.files(&folder)?,
                compile: CompileManifest {
                    seconds: compiled.seconds,
                    peak_process_bytes: compiled.peak_process_bytes,
                },
                memory: compiled.memory,
                cost: compiled.cost.clone(),
                fingerprint: compiled.fingerprint.clone(),
                parameters: program.parameters.clone(),
                results: program.results.clone(),
            });
            first.get_or_insert(compiled);
        }
        let manifest = manifest(request, &devices, first.ok_or(BundleError::NoPrograms)?, programs)?;
        self.directory.write(MANIFEST, to_readable_json(&manifest)?.as_bytes())?;
        self.directory.put_in_place()?;
        Ok(manifest)
    }

    fn job(
        &self,
        request: &CompileRequest<'_>,
        devices: &Devices,
        folder: &Path,
    ) -> Result<Job, BundleError> {
        let scratch = self.directory.scratch()?;
        job(request, devices, Product::Executable, self.directory.path().join(folder), &scratch)
    }

    /// The files of a program's folder.
    fn files(&self, folder: &Path) -> Result<Vec<FileManifest>, BundleError> {
        let mut files = Vec::new();
        for name in PROGRAM_FILES {
            let path = self.directory.path().join(folder).join(name);
            match size_and_sha256(&path) {
                Ok((bytes, sha256)) => {
                    let file = folder.join(name).to_string_lossy().into_owned();
                    files.push(FileManifest { file, bytes, sha256 });
                }
                // The compiler has not made it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(BundleError::File { path, source }),
            }
        }
        Ok(files)
    }
}

/// A job for the program in a folder.
pub(super) fn job(
    request: &CompileRequest<'_>,
    devices: &Devices,
    product: Product,
    folder: PathBuf,
    scratch: &Path,
) -> Result<Job, BundleError> {
    let using = |path: &Path| {
        let path = path.to_owned();
        move |source| BundleError::File { path, source }
    };
    // What the compiler dumped of another program.
    match std::fs::remove_dir_all(scratch.join(DUMP)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(using(scratch)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let plugin = &request.plugin.path;
    Ok(Job {
        plugin: std::path::absolute(plugin).map_err(using(plugin))?,
        devices: devices.clone(),
        mesh: request.mesh.axes().to_vec(),
        flags: request.export.manifest.target.compiler_flags.clone(),
        product,
        folder,
        scratch: scratch.to_owned(),
        outcome: scratch.join("outcome.json"),
    })
}

/// Has a process do a job.
pub(super) fn run<T: DeserializeOwned>(
    request: &CompileRequest<'_>,
    program: &str,
    job: &Job,
    poll: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<T, BundleError> {
    let file = job.outcome.with_file_name("job.json");
    write(&file, job).map_err(|source| BundleError::File { path: file.clone(), source })?;
    let mut command = (request.worker)();
    // Compilers and the tools that they start leave logs and other files where temporary ones go.
    let command = command.arg(&file).current_dir(&job.scratch).env("TMPDIR", &job.scratch);
    let watched = watch(command, request.time_limit, poll).map_err(BundleError::Process)?;
    let (program, target) = (program.to_string(), request.target.to_string());
    let memory = watched.peak_bytes.map(|bytes| format!(", having had {} MiB of memory", bytes >> 20));
    let memory = memory.unwrap_or_default();
    let status = match watched.end {
        End::Exited(status) => status,
        End::TimeLimit => {
            return Err(BundleError::TimeLimit { program, target, limit: request.time_limit, memory });
        }
        End::Cancelled => return Err(BundleError::Cancelled),
    };
    match status.success().then(|| read(&job.outcome)) {
        Some(Ok(Outcome::Done(answer))) => Ok(answer),
        Some(Ok(Outcome::Failed(reason))) if room::was_missing(&reason) => Err(no_room(program, job)),
        Some(Ok(Outcome::Failed(reason))) => Err(refusal(program, target, reason)),
        Some(Err(source)) => Err(BundleError::File { path: job.outcome.clone(), source }),
        // Ctrl-C goes to both processes, and may come here first.
        None if status.code() == Some(INTERRUPTED) => Err(BundleError::Cancelled),
        None if room::ran_out(&watched.last_words) => Err(no_room(program, job)),
        None => {
            let last_words = match watched.last_words.as_str() {
                "" => String::new(),
                words => format!(":\n{words}"),
            };
            Err(BundleError::Died { program, target, end: end(status), memory, last_words })
        }
    }
}

fn no_room(program: String, job: &Job) -> BundleError {
    // Of a bundle under way only the folder that it lies in is the user's.
    let directory = job.scratch.ancestors().nth(2).unwrap_or(&job.scratch);
    BundleError::NoRoom { program, directory: directory.to_owned() }
}

/// What the plugins for GPUs say if a tool is missing. The rest of it is a list of all places that were looked at.
const CUDA_TOOLS: [(&str, &str); 2] = [("libdevice not found", "libdevice"), ("Neither ptxas", "ptxas")];

/// A refusal, with what to do where that is known.
fn refusal(program: String, target: String, reason: Reported) -> BundleError {
    if let Some(shortage) = Shortage::told_by(&reason) {
        return BundleError::OutOfMemory { program, target, shortage };
    }
    match CUDA_TOOLS.iter().find(|(words, _)| reason.says(words)) {
        Some((_, tool)) => BundleError::NoCudaTool { program, target, tool },
        None => BundleError::Refused { program, target, reason },
    }
}

/// Checks that a program for a GPU fits into its memory, which XLA leaves to the run. Compilers for TPUs check it.
fn check_memory(
    target: &TargetSpec,
    program: &str,
    memory: Option<&MemoryManifest>,
) -> Result<(), BundleError> {
    let TargetSpec::Cuda { gpu, .. } = target else { return Ok(()) };
    let shortage = memory.and_then(|memory| Shortage::of(memory.total_bytes(), gpu.hardware.memory_bytes));
    match shortage {
        None => Ok(()),
        Some(shortage) => {
            let (program, target) = (program.to_string(), target.to_string());
            Err(BundleError::OutOfMemory { program, target, shortage })
        }
    }
}

/// How a process ended, in words.
fn end(status: ExitStatus) -> String {
    match status.signal() {
        // It is what the system does when memory runs out, and says nothing.
        Some(libc::SIGKILL) => {
            "was killed from outside (SIGKILL), as the system does when memory runs out".to_string()
        }
        Some(libc::SIGABRT) => "gave up (SIGABRT)".to_string(),
        Some(_) | None => format!("ended early ({status})"),
    }
}

fn manifest(
    request: &CompileRequest<'_>,
    devices: &Devices,
    compiled: Compiled,
    programs: Vec<ProgramManifest>,
) -> Result<BundleManifest, BundleError> {
    let export::Manifest { generator, model, dtype, target, devices: count, mesh, rules, .. } =
        request.export.manifest.clone();
    Ok(BundleManifest {
        format: FORMAT.to_string(),
        generator,
        model,
        dtype,
        target,
        topology: devices.topology().cloned(),
        plugin: plugin_manifest(request.plugin, compiled.plugin)?,
        device_kind: compiled.device_kind,
        // Compilers run on this machine.
        processor: match request.target {
            TargetSpec::Cpu => Processor::here().ok(),
            TargetSpec::Tpu(_) | TargetSpec::Cuda { .. } => None,
        },
        devices: count,
        mesh,
        rules,
        compile_options: CompileOptionsManifest {
            num_replicas: 1,
            num_partitions: compiled.device_assignment.len(),
            device_assignment: compiled.device_assignment,
        },
        programs,
    })
}

/// A plugin, by its library and by what it says of itself.
pub(super) fn plugin_manifest(
    plugin: &LocatedPlugin,
    facts: PluginFacts,
) -> Result<PluginManifest, BundleError> {
    let LocatedPlugin { kind, path, version, .. } = plugin;
    let (_, sha256) =
        size_and_sha256(path).map_err(|source| BundleError::File { path: path.clone(), source })?;
    let PluginFacts { api_version, platform, platform_version, attributes } = facts;
    Ok(PluginManifest {
        kind: kind.to_string(),
        version: version.clone(),
        sha256,
        api_version,
        platform,
        platform_version,
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the words of jax-cuda13-pjrt 0.10.2.
    #[test]
    fn missing_tools_for_gpus_are_named() {
        let refused = |message: &str| {
            let reason = Reported::of(&std::io::Error::other(message.to_string()));
            refusal("decode".to_string(), "cuda:h100".to_string(), reason).to_string()
        };
        let libdevice =
            refused("PJRT_Compile failed with INTERNAL: libdevice not found at ./libdevice.10.bc");
        assert!(libdevice.contains("does not find NVIDIA's libdevice beside"), "{libdevice}");
        let ptxas =
            refused("UNAVAILABLE: No PTX compilation provider is available. Neither ptxas/nvlink nor");
        assert!(ptxas.contains("`lapidary plugin install cuda --compile-only`"), "{ptxas}");
        assert_eq!(refused("out of memory"), "decode does not compile for cuda:h100");
    }

    #[test]
    fn nothing_but_a_bundle_is_replaced() {
        let has_file = |path: &str| (BUNDLE.has_file)(Path::new(path));
        assert!(has_file("manifest.json") && has_file("programs/decode/executable.bin"));
        assert!(!has_file("programs/manifest.json") && !has_file("programs/decode/notes.txt"));
        assert!(!has_file("other/decode/executable.bin") && !has_file("executable.bin"));
        let has_folder = |path: &str| (BUNDLE.has_folder)(Path::new(path));
        assert!(has_folder("programs") && has_folder("programs/decode"));
        assert!(!has_folder("other") && !has_folder("programs/decode/more"));
    }
}
