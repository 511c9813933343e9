//! What compiling took.

use serde::Serialize;

use crate::engine::Engine;
use crate::engine::cache::CacheOutcome;

/// Programs that became executables, and how long that took.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Compiling {
    /// Wall time, of which programs that are compiled at the same time take theirs once.
    pub seconds: f64,
    /// Programs.
    pub programs: usize,
    /// How many of them the cache of executables had.
    pub from_cache: usize,
    /// How many of them a bundle had.
    pub from_bundle: usize,
}

impl Compiling {
    /// All that `engine` has compiled so far.
    pub fn so_far(engine: &Engine) -> Self {
        let origins = engine.origins();
        Self {
            seconds: engine.compile_time().as_secs_f64(),
            programs: origins.total(),
            from_cache: origins.cached,
            from_bundle: origins.bundled,
        }
    }

    /// What came after `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            seconds: (self.seconds - earlier.seconds).max(0.0),
            programs: self.programs.saturating_sub(earlier.programs),
            from_cache: self.from_cache.saturating_sub(earlier.from_cache),
            from_bundle: self.from_bundle.saturating_sub(earlier.from_bundle),
        }
    }
}

/// A program that became an executable.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CompiledProgram {
    /// Its identifier: phase, rows, tokens a step, positions of the cache and element type, such as
    /// `decode_b1_t1_c512_bf16`.
    pub name: String,
    /// Seconds from the program's shape to the executable. Programs that compile at the same time share the
    /// processors.
    pub seconds: f64,
    /// Whether the cache of executables had it.
    pub from_cache: bool,
}

impl CompiledProgram {
    /// All that `engine` has compiled so far.
    pub fn so_far(engine: &Engine) -> Vec<Self> {
        let compilations = engine.compilations();
        let programs = compilations.iter().map(|each| Self {
            name: each.program.to_string(),
            seconds: each.time.as_secs_f64(),
            from_cache: matches!(each.cache, CacheOutcome::Hit { .. }),
        });
        programs.collect()
    }
}
