//! How programs became executables.

use std::fmt;
use std::io;
use std::time::Duration;

use lapidary_models::program::ProgramShape;

use super::entry::Defect;
use super::store::StoreError;
use crate::engine::CacheGrowth;

/// A program that an engine runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EngineProgram {
    /// A step of the model.
    Step(ProgramShape),
    /// A copy of keys or values into a longer buffer.
    Growth(CacheGrowth),
}

impl fmt::Display for EngineProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(shape) => shape.fmt(f),
            Self::Growth(growth) => growth.fmt(f),
        }
    }
}

/// A program that became an executable.
#[derive(Debug)]
pub struct Compilation {
    /// Which program.
    pub program: EngineProgram,
    /// From the program's shape to the executable, wherever that came from.
    pub time: Duration,
    /// Whether it was made ahead of being needed, while other work went on.
    pub ahead: bool,
    /// What the cache had to do with it.
    pub cache: CacheOutcome,
}

/// What the cache had to do with an executable.
#[derive(Debug)]
pub enum CacheOutcome {
    /// The executable was there.
    Hit {
        /// What compiling took when it was stored.
        compile_time: Duration,
    },
    /// It had to be compiled.
    Miss {
        /// Why.
        reason: MissReason,
        /// Why it is not there now, either.
        not_stored: Option<StoreError>,
    },
    /// There was no cache to look into, for this reason.
    Off(String),
    /// Nothing: the executable is a bundle's.
    Bundled {
        /// What compiling took when the bundle was made.
        compile_time: Duration,
    },
    /// The program is a bundle's, but its executable is not.
    Recompiled {
        /// Why it is not.
        reason: String,
        /// What became of a look into the cache.
        cache: Box<CacheOutcome>,
    },
}

/// Why an executable did not come from the cache.
#[derive(Debug, thiserror::Error)]
pub enum MissReason {
    /// Never stored, or evicted.
    #[error("not there yet")]
    Absent,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The file is not what was stored.
    #[error("damaged: {0}")]
    Damaged(#[from] Defect),
    /// The plugin does not take it back.
    #[error("the plugin does not load it: {0}")]
    Refused(#[source] Box<lapidary_runtime::Error>),
}

impl CacheOutcome {
    /// Where the executable came from.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Hit { .. } => Origin::Cache,
            Self::Bundled { .. } => Origin::Bundle,
            Self::Miss { .. } | Self::Off(_) => Origin::Compiler,
            Self::Recompiled { cache, .. } => cache.origin(),
        }
    }
}

/// Where an executable came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It was compiled.
    Compiler,
    /// It had been compiled before.
    Cache,
    /// Somebody else had compiled it.
    Bundle,
}

/// How many executables came from where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origins {
    /// Executables that were compiled.
    pub compiled: usize,
    /// Executables that came from the cache.
    pub cached: usize,
    /// Executables of a bundle.
    pub bundled: usize,
}

impl Origins {
    /// Counts.
    pub fn of<'c>(compilations: impl IntoIterator<Item = &'c Compilation>) -> Self {
        let mut origins = Self::default();
        for compilation in compilations {
            match compilation.cache.origin() {
                Origin::Compiler => origins.compiled += 1,
                Origin::Cache => origins.cached += 1,
                Origin::Bundle => origins.bundled += 1,
            }
        }
        origins
    }

    /// All executables.
    pub fn total(&self) -> usize {
        self.compiled + self.cached + self.bundled
    }
}

impl fmt::Display for CacheOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit { compile_time } => {
                write!(f, "cache hit; compiling took {:.3} s", compile_time.as_secs_f64())
            }
            Self::Miss { reason, not_stored } => {
                write!(f, "cache miss: {reason}; ")?;
                match (reason, not_stored) {
                    (_, Some(error)) => write!(f, "not stored: {error}"),
                    (MissReason::Absent, None) => f.write_str("stored"),
                    (MissReason::Unreadable(_) | MissReason::Damaged(_) | MissReason::Refused(_), None) => {
                        f.write_str("replaced")
                    }
                }
            }
            Self::Off(reason) => write!(f, "cache off: {reason}"),
            Self::Bundled { compile_time } => {
                write!(f, "from the bundle; compiling took {:.3} s", compile_time.as_secs_f64())
            }
            Self::Recompiled { reason, cache } => {
                write!(f, "compiled from the bundle's StableHLO, because {reason}; {cache}")
            }
        }
    }
}
