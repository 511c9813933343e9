//! From what a user calls a model to the directory it is in. Nothing is downloaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::files;
use crate::gguf;

/// Why a model was not found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// A file was given that is no model.
    #[error(
        "{} is a file; give the directory that holds config.json and the weights, or a GGUF file",
        path.display()
    )]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// Neither a directory nor a model in the hub cache.
    #[error("no model `{name}`: looked for {}; download it first, or give a model directory", paths(looked))]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A hub cache (or a repository in it) that does not say which model is meant.
    #[error("{} holds {} models: {}; name one", directory.display(), choices.len(), choices.join(", "))]
    Ambiguous {
        /// The directory.
        directory: PathBuf,
        /// What it could mean.
        choices: Vec<String>,
    },
    /// A repository in the hub cache without a snapshot.
    #[error("{} has no snapshot; was its download interrupted?", repository.display())]
    NoSnapshot {
        /// The repository's folder in the cache.
        repository: PathBuf,
    },
    /// A directory could not be listed.
    #[error("cannot list {}", directory.display())]
    Read {
        /// The directory.
        directory: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

fn paths(looked: &[PathBuf]) -> String {
    looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

/// Finds the directory of `model`, with the hub cache that the environment names. See [`HubCache::locate`].
///
/// # Errors
/// [`LocateError`].
pub fn locate(model: &str) -> Result<PathBuf, LocateError> {
    HubCache::from_env(|name| std::env::var_os(name)).locate(model)
}

/// The cache of Hugging Face's client, where downloaded models lie.
#[derive(Debug, Clone)]
pub struct HubCache {
    root: Option<PathBuf>,
}

impl HubCache {
    /// A cache at `root`, the directory that has a `models--owner--name` for each model.
    pub const fn at(root: PathBuf) -> Self {
        Self { root: Some(root) }
    }

    /// The cache that Hugging Face's client would use, by its environment variables.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || {
            path("HF_HOME")
                .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
                .or_else(|| Some(path("HOME")?.join(".cache").join("huggingface")))
        };
        let root = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(home()?.join("hub")));
        Self { root }
    }

    /// Finds the directory (or file) of `model`, which may be
    /// - a model directory, or a GGUF file;
    /// - a repository's folder in the hub cache, or the cache itself if one model is in it;
    /// - the name of a repository in the cache, such as `google/gemma-2-2b` (`google/` may be left out).
    ///
    /// # Errors
    /// [`LocateError`].
    pub fn locate(&self, model: &str) -> Result<PathBuf, LocateError> {
        let path = Path::new(model);
        if path.is_dir() {
            return resolve(path);
        }
        if gguf::is_gguf(path) {
            return Ok(path.to_owned());
        }
        if path.exists() {
            return Err(LocateError::NotADirectory { path: path.to_owned() });
        }
        let mut looked = vec![path.to_owned()];
        if let (Some(root), Some(folder)) = (&self.root, repository_folder(model)) {
            let repository = root.join(folder);
            if repository.is_dir() {
                return snapshot(&repository);
            }
            looked.push(repository);
        }
        Err(LocateError::NotFound { name: model.to_owned(), looked })
    }
}

/// The folder in the cache that the repository `owner/name` has.
fn repository_folder(model: &str) -> Option<String> {
    let (owner, name) = model.split_once('/').unwrap_or(("google", model));
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\']);
    (plain(owner) && plain(name)).then(|| format!("models--{owner}--{name}"))
}

fn resolve(directory: &Path) -> Result<PathBuf, LocateError> {
    if directory.join(files::CONFIG).exists() {
        return Ok(directory.to_owned());
    }
    if directory.join("snapshots").is_dir() {
        return snapshot(directory);
    }
    let hub = directory.join("hub");
    let root = if hub.is_dir() { hub.as_path() } else { directory };
    let mut repositories = subdirectories(root)?;
    repositories.retain(|name| name.starts_with("models--"));
    match repositories.as_slice() {
        // No cache either: opening it as a model will say what is missing.
        [] => Ok(directory.to_owned()),
        [only] => snapshot(&root.join(only)),
        several => Err(LocateError::Ambiguous {
            directory: root.to_owned(),
            choices: several.iter().map(|name| name.replacen("models--", "", 1).replace("--", "/")).collect(),
        }),
    }
}

/// The snapshot that `refs/main` names, or the only one.
fn snapshot(repository: &Path) -> Result<PathBuf, LocateError> {
    let snapshots = repository.join("snapshots");
    if let Ok(revision) = std::fs::read_to_string(repository.join("refs").join("main")) {
        let named = snapshots.join(revision.trim());
        if named.is_dir() {
            return Ok(named);
        }
    }
    let revisions = if snapshots.is_dir() { subdirectories(&snapshots)? } else { Vec::new() };
    match revisions.as_slice() {
        [] => Err(LocateError::NoSnapshot { repository: repository.to_owned() }),
        [only] => Ok(snapshots.join(only)),
        several => Err(LocateError::Ambiguous { directory: snapshots, choices: several.to_vec() }),
    }
}

fn subdirectories(directory: &Path) -> Result<Vec<String>, LocateError> {
    let failed = |source| LocateError::Read { directory: directory.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with `models`, each with one snapshot named after it.
    fn cache(models: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for model in models {
            let repository = root.path().join(format!("models--{}", model.replace('/', "--")));
            std::fs::create_dir_all(repository.join("snapshots/abc123")).unwrap();
            std::fs::create_dir_all(repository.join("refs")).unwrap();
            std::fs::write(repository.join("refs/main"), "abc123\n").unwrap();
        }
        root
    }

    #[test]
    fn repository_names_are_found_in_the_cache() {
        let root = cache(&["google/gemma-2-2b", "me/mine"]);
        let hub = HubCache::at(root.path().to_owned());
        let expected = root.path().join("models--google--gemma-2-2b/snapshots/abc123");
        assert_eq!(hub.locate("google/gemma-2-2b").unwrap(), expected);
        assert_eq!(hub.locate("gemma-2-2b").unwrap(), expected);
        let repository = root.path().join("models--google--gemma-2-2b");
        assert_eq!(hub.locate(repository.to_str().unwrap()).unwrap(), expected);
        assert!(
            matches!(hub.locate("google/gemma-2-9b"), Err(LocateError::NotFound { looked, .. }) if looked.len() == 2)
        );
        for hostile in ["../x", "a/../../b", "a/b/c", ""] {
            assert!(matches!(hub.locate(hostile), Err(LocateError::NotFound { .. })), "{hostile}");
        }
    }

    #[test]
    fn a_cache_means_its_only_model() {
        let root = cache(&["google/gemma-2-2b"]);
        let hub = HubCache { root: None };
        let name = root.path().to_str().unwrap();
        assert!(hub.locate(name).unwrap().ends_with("snapshots/abc123"));
        std::fs::create_dir_all(root.path().join("models--me--mine")).unwrap();
        let message = hub.locate(name).unwrap_err().to_string();
        assert!(message.contains("me/mine") && message.contains("google/gemma-2-2b"), "{message}");
        let empty = root.path().join("models--me--mine");
        std::fs::create_dir_all(empty.join("snapshots")).unwrap();
        assert!(matches!(hub.locate(empty.to_str().unwrap()), Err(LocateError::NoSnapshot { .. })));
    }

    #[test]
    fn model_directories_stand_for_themselves_and_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config.json");
        std::fs::write(&config, "{}").unwrap();
        assert_eq!(locate(root.path().to_str().unwrap()).unwrap(), root.path());
        assert!(matches!(locate(config.to_str().unwrap()), Err(LocateError::NotADirectory { .. })));
        let gguf = root.path().join("model.GGUF");
        std::fs::write(&gguf, "").unwrap();
        assert_eq!(locate(gguf.to_str().unwrap()).unwrap(), gguf);
        // Whatever it is called, as in the caches of other programs.
        let blob = root.path().join("sha256-abc");
        std::fs::write(&blob, "GGUF\x03").unwrap();
        assert_eq!(locate(blob.to_str().unwrap()).unwrap(), blob);
    }

    #[test]
    fn environment_variables_take_precedence_in_the_clients_order() {
        let root = |set: &[(&str, &str)]| {
            let cache = HubCache::from_env(|name| {
                set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
            });
            cache.root
        };
        assert_eq!(root(&[("HOME", "/h")]), Some("/h/.cache/huggingface/hub".into()));
        assert_eq!(root(&[("HOME", "/h"), ("HF_HOME", "/x")]), Some("/x/hub".into()));
        assert_eq!(root(&[("HF_HOME", "/x"), ("HF_HUB_CACHE", "/y")]), Some("/y".into()));
        assert_eq!(root(&[("HOME", "/h"), ("HF_HOME", "")]), Some("/h/.cache/huggingface/hub".into()));
        assert_eq!(root(&[]), None);
    }
}
