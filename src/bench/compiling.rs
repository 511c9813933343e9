//! What compiling took.

use serde::Serialize;

use crate::engine::Engine;

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
