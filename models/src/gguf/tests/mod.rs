//! Files that are sound, and files that are not.

mod configs;
mod damage;
mod file;
mod model;
mod parts;
mod tokenizers;
mod weights;

use std::path::Path;

use super::{Gguf, GgufError, GgufFileError};
use file::GgufFile;

/// What opening `file` and reading all of it says.
fn opened(file: &GgufFile) -> Result<crate::checkpoint::Checkpoint, crate::checkpoint::CheckpointError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    std::fs::write(&path, file.bytes()).unwrap();
    Gguf::open(&path)?.checkpoint()
}

/// Why `file` is refused, with all causes.
fn refusal(file: &GgufFile) -> String {
    let error = opened(file).unwrap_err();
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let text = chain.map(|error| error.to_string()).collect::<Vec<_>>().join(": ");
    assert!(text.contains("model.gguf"), "{text}");
    text
}

fn content(path: &Path) -> GgufError {
    match Gguf::open(path) {
        Err(GgufFileError::Content { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}
