//! Looking for a plugin's library in the places where it may be.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::library::{self, Defect};
use super::pins::distribution;
use super::record::{CompanionRecord, Manifest};
use super::store::Store;
use super::{Environment, Error, Package, PluginKind, python};

/// Where a path to a library came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The caller named it.
    Explicit,
    /// An environment variable names it.
    Variable(&'static str),
    /// Lapidary installed it.
    Installed,
    /// The Python virtual environment that is active.
    VirtualEnvironment,
    /// A directory from which this Python interpreter imports.
    Python(PathBuf),
}

impl Source {
    /// Whether a person asked for this very library, so that no other may stand in for it.
    fn is_demand(&self) -> bool {
        match self {
            Source::Explicit | Source::Variable(_) => true,
            Source::Installed | Source::VirtualEnvironment | Source::Python(_) => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Explicit => f.write_str("the path given"),
            Source::Variable(name) => f.write_str(name),
            Source::Installed => f.write_str("installed by Lapidary"),
            Source::VirtualEnvironment => f.write_str("the active virtual environment"),
            Source::Python(interpreter) => write!(f, "packages of {}", interpreter.display()),
        }
    }
}

/// Why a [`Candidate`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The variable is not set.
    #[error("not set")]
    Unset,
    /// The place itself could not be looked at.
    #[error("{0}")]
    Unavailable(String),
    /// The file there is missing or unfit.
    #[error(transparent)]
    Defect(#[from] Defect),
}

/// A place that was looked at for a plugin, and what was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The plugin looked for.
    pub kind: PluginKind,
    /// Why this place was looked at.
    pub source: Source,
    /// The library's path, if the place leads to one.
    pub path: Option<PathBuf>,
    /// The package version, where a record of it lies beside the library.
    pub version: Option<String>,
    /// Why it cannot be used; `None` when it can.
    pub problem: Option<Problem>,
}

impl Candidate {
    fn at(package: &Package, source: Source, path: PathBuf) -> Candidate {
        let problem = library::examine(&path).err().map(Problem::Defect);
        let version = version_beside(package, &path);
        Candidate { kind: package.kind, source, path: Some(path), version, problem }
    }

    fn nowhere(package: &Package, source: Source, problem: Problem) -> Candidate {
        Candidate { kind: package.kind, source, path: None, version: None, problem: Some(problem) }
    }

    /// The library, if it can be used.
    pub fn located(&self) -> Option<LocatedPlugin> {
        if self.problem.is_some() {
            return None;
        }
        Some(LocatedPlugin {
            kind: self.kind,
            path: self.path.clone()?,
            source: self.source.clone(),
            version: self.version.clone(),
        })
    }

    /// What a person can do to make this place useful, if anything in particular.
    pub fn advice(&self) -> Option<String> {
        match (&self.source, self.problem.as_ref()?) {
            (_, Problem::Unset) => None,
            (Source::Explicit, _) => {
                Some(format!("give the path of the {} plugin's library, a .so file", self.kind))
            }
            (Source::Variable(name), _) => {
                Some(format!("correct {name}, or unset it to have the others tried"))
            }
            (Source::Installed, Problem::Defect(_)) => {
                Some(format!("install it with `lapidary plugin install {}`", self.kind))
            }
            (Source::Installed | Source::VirtualEnvironment | Source::Python(_), _) => None,
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let Some(path) = &self.path {
            write!(f, "{}", path.display())?;
            f.write_str(if self.problem.is_some() { ": " } else { "" })?;
        }
        if let Some(problem) = &self.problem {
            write!(f, "{problem}")?;
        }
        match &self.version {
            Some(version) => write!(f, " (version {version})"),
            None => Ok(()),
        }
    }
}

/// A plugin's library that looks fit to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedPlugin {
    /// The devices it drives.
    pub kind: PluginKind,
    /// The library, as an absolute path.
    pub path: PathBuf,
    /// How it was found.
    pub source: Source,
    /// The package version, where a record of it lies beside the library.
    pub version: Option<String>,
}

/// Looks at every place for a plugin, strongest claim first: the `explicit` path, the plugin's
/// [variables](PluginKind::variables), what Lapidary installed, the active virtual environment, and the
/// packages of the user's Python. Nothing is loaded.
pub fn discover(environment: &Environment, kind: PluginKind, explicit: Option<&Path>) -> Vec<Candidate> {
    let search = Search { environment, package: Package::pinned(kind) };
    let mut candidates = search.demanded(explicit);
    for place in Search::PLACES {
        candidates.extend(place(&search));
    }
    candidates
}

/// The first usable library in the order of [`discover`].
///
/// # Errors
/// [`Error::Unusable`] when the explicit path or a variable names something that cannot be used: these are
/// demands and are not passed over. [`Error::NotFound`] with every place looked at when there is none.
pub fn find(
    environment: &Environment,
    kind: PluginKind,
    explicit: Option<&Path>,
) -> Result<LocatedPlugin, Error> {
    let search = Search { environment, package: Package::pinned(kind) };
    let mut candidates = Vec::new();
    for candidate in search.demanded(explicit) {
        if let Some(plugin) = candidate.located() {
            return Ok(plugin);
        }
        if candidate.source.is_demand() && candidate.problem != Some(Problem::Unset) {
            return Err(Error::Unusable { candidate: Box::new(candidate) });
        }
        candidates.push(candidate);
    }
    // Place by place, since asking an interpreter is slow and seldom needed.
    for place in Search::PLACES {
        let found = place(&search);
        if let Some(plugin) = found.iter().find_map(Candidate::located) {
            return Ok(plugin);
        }
        candidates.extend(found);
    }
    Err(Error::NotFound { kind, candidates })
}

struct Search<'a> {
    environment: &'a Environment,
    package: &'static Package,
}

impl Search<'_> {
    /// The places that nobody named, in order.
    const PLACES: [fn(&Self) -> Vec<Candidate>; 3] =
        [Search::installed, Search::virtual_environment, Search::python];

    fn demanded(&self, explicit: Option<&Path>) -> Vec<Candidate> {
        let named = |source, path: &Path| match std::path::absolute(path) {
            Ok(path) => Candidate::at(self.package, source, path),
            Err(error) => Candidate::nowhere(self.package, source, Problem::Unavailable(error.to_string())),
        };
        let explicit = explicit.map(|path| named(Source::Explicit, path));
        let variables = self.package.kind.variables().iter().map(|name| {
            let source = Source::Variable(name);
            match self.environment.variable(name) {
                Some(value) => named(source, Path::new(value)),
                None => Candidate::nowhere(self.package, source, Problem::Unset),
            }
        });
        explicit.into_iter().chain(variables).collect()
    }

    fn installed(&self) -> Vec<Candidate> {
        let candidate = match Store::of(self.environment) {
            Ok(store) => {
                let path = store.directory(self.package).join(self.package.library);
                let problem = store.installed(self.package).err().map(Problem::Defect);
                Candidate { problem, ..Candidate::at(self.package, Source::Installed, path) }
            }
            Err(error) => {
                Candidate::nowhere(self.package, Source::Installed, Problem::Unavailable(error.to_string()))
            }
        };
        vec![candidate]
    }

    fn virtual_environment(&self) -> Vec<Candidate> {
        let Some(root) = self.environment.variable("VIRTUAL_ENV") else { return Vec::new() };
        let versions = fs::read_dir(Path::new(root).join("lib")).into_iter().flatten().flatten();
        let mut directories: Vec<_> =
            versions.map(|entry| entry.path().join("site-packages")).filter(|path| path.is_dir()).collect();
        directories.sort();
        self.in_each(directories, &Source::VirtualEnvironment)
    }

    fn python(&self) -> Vec<Candidate> {
        match python::import_path(self.environment) {
            Ok((interpreter, mut directories)) => {
                let active = self.environment.variable("VIRTUAL_ENV").map(Path::new);
                // The import path also names the standard library, where no package is ever installed, and
                // the active virtual environment, which has been looked at.
                directories.retain(|directory| {
                    if active.is_some_and(|root| directory.starts_with(root)) {
                        return false;
                    }
                    let name = directory.file_name().and_then(OsStr::to_str).unwrap_or_default();
                    matches!(name, "site-packages" | "dist-packages")
                        || directory.join(self.package.library).exists()
                });
                self.in_each(directories, &Source::Python(interpreter))
            }
            Err(why) => vec![Candidate::nowhere(
                self.package,
                Source::Python(PathBuf::from("python3")),
                Problem::Unavailable(why),
            )],
        }
    }

    fn in_each(&self, directories: Vec<PathBuf>, source: &Source) -> Vec<Candidate> {
        directories
            .into_iter()
            .map(|directory| {
                Candidate::at(self.package, source.clone(), directory.join(self.package.library))
            })
            .collect()
    }
}

/// The version recorded beside a library: in our manifest, or in the `.dist-info` that pip leaves.
fn version_beside(package: &Package, library: &Path) -> Option<String> {
    if !library.ends_with(package.library) {
        return None;
    }
    let root = library.ancestors().nth(Path::new(package.library).components().count())?;
    Manifest::read(root).map(|manifest| manifest.version).or_else(|| version_below(root, package.name))
}

/// The version of a package below `site-packages` or in our store: of our record, or of the `.dist-info` that pip
/// leaves.
pub(super) fn version_below(root: &Path, name: &str) -> Option<String> {
    if let Some(record) = CompanionRecord::read(root, name) {
        return Some(record.version);
    }
    let prefix = format!("{}-", distribution(name));
    fs::read_dir(root).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name();
        let version = name.to_str()?.strip_prefix(&prefix)?.strip_suffix(".dist-info")?;
        Some(version.to_owned())
    })
}
