//! The programs of a bundle as an engine takes them.

use std::num::NonZeroUsize;
use std::time::Duration;

use lapidary_graph::DType;
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{KvCache, Phase, ProgramShape, SamplerShape};
use lapidary_runtime::LoadedExecutable;

use super::interface::InterfaceReader;
use super::{Bundle, Mismatch, RunError};
use crate::bundle::{EXECUTABLE_FILE, PROGRAM_FILE, ProgramManifest, verify};
use crate::engine::cache::{CacheOutcome, ExecutableCache};
use crate::engine::compile::compile_options_with;
use crate::engine::programs::{CompiledProgram, Interface, ProgramSource};
use crate::engine::{EngineError, Placement};

/// The programs of a bundle, and the devices that they are for.
#[derive(Debug)]
pub struct BundlePrograms {
    bundle: Bundle,
    placement: Placement,
    /// Whether a program is compiled again if its executable is of no use.
    recompile: bool,
    /// Why all executables are of no use.
    mismatch: Option<Mismatch>,
    /// What each of the manifest's programs takes and returns.
    interfaces: Vec<Interface>,
}

impl BundlePrograms {
    pub(super) fn new(
        bundle: Bundle,
        placement: Placement,
        recompile: bool,
        mismatch: Option<Mismatch>,
    ) -> Result<Self, RunError> {
        let reader = InterfaceReader::new(&bundle.config, &bundle.mesh);
        let read = |program: &ProgramManifest| {
            reader.read(program).map_err(|problem| RunError::Manifest {
                directory: bundle.directory.clone(),
                problem: format!("{problem} ({})", program.name),
            })
        };
        let interfaces = bundle.manifest.programs.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { bundle, placement, recompile, mismatch, interfaces })
    }

    /// The devices.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Why everything is compiled again: what the bundle was compiled for is not what is here. `None` if it is.
    pub fn recompiled_because(&self) -> Option<&Mismatch> {
        self.mismatch.as_ref()
    }

    fn programs(&self) -> &[ProgramManifest] {
        &self.bundle.manifest.programs
    }

    /// The place of the program of `shape`. Its name tells it from all others, whatever phases there are.
    fn position(&self, shape: &ProgramShape) -> Option<usize> {
        let name = program_name(&self.bundle.config, shape);
        self.programs().iter().position(|program| program.name == name)
    }

    fn lacks(&self, shape: &ProgramShape) -> RunError {
        if let Err(error) = self.bundle.check_rows(shape.batch) {
            return error;
        }
        let programs = self.programs().iter().map(sizes).collect::<Vec<_>>();
        let ProgramShape { phase, batch, capacity, .. } = shape;
        RunError::NoProgram {
            directory: self.bundle.directory.clone(),
            wanted: format!("{} for {batch} rows of {capacity} positions", in_words(*phase)),
            programs: programs.join(", "),
        }
    }

    /// A file of a program, if it is what it was.
    fn file(&self, program: &ProgramManifest, name: &str, can_recompile: bool) -> Result<Vec<u8>, RunError> {
        let directory = self.bundle.directory.clone();
        let Some(listed) = program.file(name) else {
            let problem = format!("it lists no {name} of {}", program.name);
            return Err(RunError::Manifest { directory, problem });
        };
        verify::read(&directory, listed).map_err(|difference| RunError::Damaged {
            directory,
            difference,
            can_recompile,
        })
    }

    fn load(&self, program: &ProgramManifest) -> Result<LoadedExecutable, RunError> {
        let executable = self.file(program, EXECUTABLE_FILE, true)?;
        self.placement.client().load_executable(&executable).map_err(|source| RunError::NotLoaded {
            directory: self.bundle.directory.clone(),
            program: program.name.clone(),
            source: Box::new(source),
        })
    }

    fn compile(
        &self,
        program: &ProgramManifest,
        cache: &ExecutableCache,
    ) -> Result<(LoadedExecutable, CacheOutcome), RunError> {
        let failed = |source| RunError::NotRecompiled {
            directory: self.bundle.directory.clone(),
            program: program.name.clone(),
            source,
        };
        let text = String::from_utf8(self.file(program, PROGRAM_FILE, false)?);
        let text = text.map_err(|_| RunError::Manifest {
            directory: self.bundle.directory.clone(),
            problem: format!("{PROGRAM_FILE} of {} is no text", program.name),
        })?;
        let flags = self.bundle.manifest.target.compiler_flags.iter();
        let options =
            compile_options_with(&self.placement, flags.map(|(name, value)| (name.as_str(), value.clone())));
        let name = format!("{}, of a bundle, {}", program.name, self.placement);
        cache
            .load_or_compile(self.placement.client(), &text, &options, &name)
            .map_err(|source| failed(Box::new(source)))
    }

    fn executable(
        &self,
        program: &ProgramManifest,
        cache: &ExecutableCache,
    ) -> Result<(LoadedExecutable, CacheOutcome), RunError> {
        let reason = match &self.mismatch {
            Some(mismatch) => format!("the bundle {mismatch}"),
            None => match self.load(program) {
                Ok(executable) => {
                    let compile_time = Duration::try_from_secs_f64(program.compile.seconds);
                    let compile_time = compile_time.unwrap_or_default();
                    return Ok((executable, CacheOutcome::Bundled { compile_time }));
                }
                Err(error) if !self.recompile => return Err(error),
                Err(RunError::Damaged { difference, .. }) => difference.to_string(),
                Err(RunError::NotLoaded { source, .. }) => format!("the plugin does not load it: {source}"),
                Err(error) => return Err(error),
            },
        };
        let (executable, cache) = self.compile(program, cache)?;
        Ok((executable, CacheOutcome::Recompiled { reason, cache: Box::new(cache) }))
    }
}

impl ProgramSource for BundlePrograms {
    fn dtype(&self) -> DType {
        self.bundle.dtype
    }

    fn kv_cache(&self) -> KvCache {
        self.bundle.kv_cache
    }

    fn context(&self) -> usize {
        self.bundle.context()
    }

    /// Those of the decode programs that there are, the most if they differ.
    fn decode_steps(&self) -> NonZeroUsize {
        self.programs().iter().map(|program| program.steps_per_dispatch).max().unwrap_or(NonZeroUsize::MIN)
    }

    fn max_rows(&self) -> Option<usize> {
        Some(self.bundle.max_rows())
    }

    fn rows(&self, rows: usize) -> usize {
        let batches = self.programs().iter().map(|program| program.batch);
        batches.filter(|&batch| batch >= rows).min().unwrap_or(rows)
    }

    /// The largest there is: a cache that would have to grow takes programs that no bundle has.
    fn capacity(&self, _positions: usize) -> usize {
        self.bundle.context()
    }

    fn step_tokens(&self, wanted: &ProgramShape) -> usize {
        let tokens = self.programs().iter().map(|program| program.tokens);
        let steps = tokens.filter(|&tokens| self.position(&ProgramShape { tokens, ..*wanted }).is_some());
        let steps: Vec<usize> = steps.collect();
        let enough = steps.iter().copied().filter(|&tokens| tokens >= wanted.tokens).min();
        enough.or_else(|| steps.into_iter().max()).unwrap_or(wanted.tokens)
    }

    fn interface(&self, shape: &ProgramShape) -> Result<Interface, EngineError> {
        let mut programs = self.programs().iter().zip(&self.interfaces);
        let found = programs.find(|(program, _)| has_cache_of(program, shape));
        let (_, interface) = found.ok_or_else(|| self.lacks(shape))?;
        Ok(interface.clone())
    }

    fn program(
        &self,
        shape: &ProgramShape,
        cache: &ExecutableCache,
    ) -> Result<(CompiledProgram, CacheOutcome), EngineError> {
        let found = self.position(shape);
        let found = found.and_then(|at| self.programs().get(at).zip(self.interfaces.get(at)));
        let (program, interface) = found.ok_or_else(|| self.lacks(shape))?;
        let (executable, outcome) = self.executable(program, cache)?;
        Ok((CompiledProgram { shape: *shape, executable, interface: interface.clone() }, outcome))
    }
}

/// What [`build`](lapidary_models::program::build) calls a program.
fn program_name(config: &GemmaConfig, shape: &ProgramShape) -> String {
    format!("{}_{shape}", config.architecture.model_type())
}

/// Whether a program takes the KV cache that the programs of `shape`'s rows and positions take.
fn has_cache_of(program: &ProgramManifest, shape: &ProgramShape) -> bool {
    (program.batch, program.context) == (shape.batch, shape.capacity)
}

/// A phase, and how to have it compiled where that is not plain.
fn in_words(phase: Phase) -> String {
    let mut words = format!("`{}`", phase.name());
    let SamplerShape { top_logprobs, repetition_penalty } = phase.sampler().unwrap_or_default();
    let mut options = Vec::new();
    if phase == (Phase::Score { logits: true }) {
        options.push("--phase score_logits".to_owned());
    }
    if top_logprobs > 0 {
        options.push(format!("--logprobs {top_logprobs}"));
    }
    if repetition_penalty {
        options.push("--repetition-penalty".to_owned());
    }
    if phase.steps() > 1 {
        options.push(format!("--steps-per-dispatch {}", phase.steps()));
    }
    if !options.is_empty() {
        words.push_str(&format!(" (compile's {})", options.join(" ")));
    }
    words
}

/// A program in words: `prefill of 4 rows, 16 tokens, 128 positions`.
fn sizes(program: &ProgramManifest) -> String {
    let ProgramManifest { phase, batch, tokens, context, .. } = program;
    format!("`{phase}` (batch {batch}, tokens {tokens}, context {context})")
}
