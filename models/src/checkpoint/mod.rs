//! Checkpoints as Hugging Face ships them: `config.json` and safetensors files, mapped into memory.

mod error;
mod finite;
mod header;
mod index;
mod locate;
mod open;
mod source;
mod tensor;

pub use error::{CheckpointError, TensorProblem, TensorProblems};
pub use finite::NonFinite;
pub use header::HeaderError;
pub use index::IndexError;
pub use locate::{HubCache, LocateError, locate};
pub use source::Source;
pub use tensor::TensorView;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::GemmaConfig;
use crate::dtype::StoredDtype;

/// A model's config and weights: exactly the tensors of [`weight_specs`](crate::weights::weight_specs), each of
/// its expected shape.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    config: GemmaConfig,
    /// In the order a forward pass meets them.
    tensors: Vec<TensorView>,
    by_name: HashMap<String, usize>,
}

impl Checkpoint {
    fn new(path: PathBuf, config: GemmaConfig, tensors: Vec<TensorView>) -> Self {
        let by_name = tensors.iter().enumerate().map(|(at, tensor)| (tensor.name.clone(), at)).collect();
        Self { path, config, tensors, by_name }
    }

    /// The model directory, or the name of a model that is in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `config.json` says.
    pub const fn config(&self) -> &GemmaConfig {
        &self.config
    }

    /// The tensor named `name`; `None` only for a name that the config's weights do not include.
    pub fn tensor(&self, name: &str) -> Option<&TensorView> {
        self.tensors.get(*self.by_name.get(name)?)
    }

    /// All tensors, in the order a forward pass meets them.
    pub fn tensors(&self) -> &[TensorView] {
        &self.tensors
    }

    /// Bytes of all weights as stored.
    pub fn byte_count(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.range.len() as u64).sum()
    }

    /// What the checkpoint is made of, to show.
    pub fn summary(&self) -> CheckpointSummary {
        let mut bytes_by_dtype = BTreeMap::new();
        for tensor in &self.tensors {
            *bytes_by_dtype.entry(tensor.dtype).or_default() += tensor.range.len() as u64;
        }
        let files: HashSet<_> = self.tensors.iter().map(|tensor| Arc::as_ptr(&tensor.source)).collect();
        CheckpointSummary {
            tensors: self.tensors.len(),
            files: files.len(),
            parameters: self.tensors.iter().map(|tensor| tensor.element_count() as u64).sum(),
            bytes_by_dtype,
        }
    }

    /// The element type that most bytes are stored in, whatever `config.json` says.
    pub fn dtype(&self) -> StoredDtype {
        let bytes = self.summary().bytes_by_dtype;
        bytes
            .into_iter()
            .max_by_key(|(_, bytes)| *bytes)
            .map_or(self.config.checkpoint_dtype, |(dtype, _)| dtype)
    }
}

/// What a checkpoint is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSummary {
    /// Tensors in use.
    pub tensors: usize,
    /// Files they lie in.
    pub files: usize,
    /// Elements over all tensors.
    pub parameters: u64,
    /// Bytes stored in each element type.
    pub bytes_by_dtype: BTreeMap<StoredDtype, u64>,
}

#[cfg(test)]
mod tests;
