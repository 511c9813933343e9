//! Bundles to run from.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lapidary::bundle::{Bundle, RunError};
use lapidary::engine::cache::{ExecutableCache, ExecutableStore};
use lapidary::engine::{Engine, EngineError, Placement};
use lapidary::models::checkpoint::Checkpoint;
use lapidary::runtime::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::lapidary_command;
use crate::support::small;

/// Rows of the bundle's programs.
pub(crate) const ROWS: usize = 4;

/// A model of random weights with windowed layers, and bundles of it that are made once.
pub(crate) struct Fixture {
    directory: TempDir,
    _model: TempDir,
    pub(crate) checkpoint: Checkpoint,
}

/// The fixture, in which bundles are only read.
pub(crate) fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let (model, checkpoint) = small("gemma2-windowed");
        let directory = tempfile::tempdir().unwrap();
        let fixture = Fixture { directory, _model: model, checkpoint };
        fixture.compile("one", &[]);
        fixture.compile("two", &["--mesh", "model=2"]);
        fixture
    })
}

impl Fixture {
    /// The model's directory.
    pub(crate) fn model(&self) -> String {
        self.checkpoint.path().display().to_string()
    }

    /// Positions that the model has, and the bundles.
    pub(crate) fn context(&self) -> usize {
        self.checkpoint.config().context.min(128)
    }

    /// Makes a bundle.
    pub(crate) fn compile(&self, name: &str, more: &[&str]) {
        let (context, out) = (self.context().to_string(), self.bundle(name).display().to_string());
        let mut arguments = vec!["compile", "--model", "MODEL", "--target", "cpu", "--out", &out];
        arguments.extend(["--dtype", "f32", "--batch", "4", "--tokens", "16,32", "--context", &context]);
        arguments.extend(more);
        let model = self.model();
        arguments[2] = &model;
        let made = lapidary_command().args(&arguments).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// The bundle for one device (`one`) or for a mesh of two (`two`).
    pub(crate) fn bundle(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A copy of the bundle for one device, to be changed.
    pub(crate) fn copy(&self) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("bundle");
        copy_folder(&self.bundle("one"), &copy);
        (directory, copy)
    }

    /// The model as it is compiled when it is needed.
    pub(crate) fn compiled(&self, placement: &Placement) -> Engine {
        Engine::load(placement, &self.checkpoint, None, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    /// The model with the programs of a bundle.
    pub(crate) fn bundled(
        &self,
        bundle: &Path,
        client: &Client,
        recompile: bool,
    ) -> Result<Engine, EngineError> {
        let bundle = Bundle::open(bundle)?;
        bundle.check_model(self.checkpoint.config())?;
        // Where nothing is to be compiled, the store only remembers the digest of the plugin's library.
        let cache = match recompile {
            true => ExecutableCache::off("a test"),
            false => ExecutableCache::new(ExecutableStore::new(self.directory.path(), 1 << 20), client),
        };
        let programs = bundle.programs(client, Some("0.0.9"), &cache, recompile)?;
        Engine::load_bundle(&self.checkpoint, programs, &mut |_| ControlFlow::Continue(()))
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Changes the manifest of a bundle.
pub(crate) fn edit(bundle: &Path, change: impl FnOnce(&mut Value)) {
    let path = bundle.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
}

/// The one line that an error is.
pub(crate) fn sentence(result: Result<Engine, EngineError>) -> String {
    match result.unwrap_err() {
        EngineError::Bundle(error) => refusal(Err::<(), _>(error)),
        error => panic!("{error}"),
    }
}

/// The one line that a refusal is.
pub(crate) fn refusal<T>(result: Result<T, RunError>) -> String {
    let message = result.err().expect("it was not refused").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}
