//! Checkpoints as Hugging Face ships them: `config.json` and safetensors files, mapped into memory.

mod encoded;
mod error;
mod finite;
mod header;
mod index;
mod locate;
mod open;
mod repack;
mod source;
mod tensor;

pub use error::{CheckpointError, TensorProblem, TensorProblems};
pub use finite::NonFinite;
pub use header::HeaderError;
pub use index::IndexError;
pub use locate::{HubCache, LocateError, locate};
pub(crate) use repack::Repack;
pub use source::Source;
pub use tensor::TensorView;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::GemmaConfig;
use crate::dtype::{StoredDtype, TensorDtype};
use crate::encoding::Encoding;
use crate::weights::weight_specs;

/// A model's config and weights: exactly the tensors of [`weight_specs`](crate::weights::weight_specs), each weight of
/// its expected shape, and in the encoding that the config's `encodings` have it in.
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

    /// What `config.json` says, and how the weights are stored.
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

    /// Bytes of all weights, codes and scales included.
    pub fn byte_count(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.byte_count() as u64).sum()
    }

    /// What the checkpoint is made of, to show.
    pub fn summary(&self) -> CheckpointSummary {
        let mut bytes_by_dtype = BTreeMap::new();
        for tensor in &self.tensors {
            *bytes_by_dtype.entry(tensor.dtype).or_default() += tensor.byte_count() as u64;
        }
        let files: HashSet<_> = self.tensors.iter().map(|tensor| Arc::as_ptr(&tensor.source)).collect();
        CheckpointSummary {
            tensors: self.tensors.len(),
            files: files.len(),
            parameters: self.config.parameter_count(),
            bytes_by_dtype,
        }
    }

    /// The element type of the numbers that most bytes of the files are, codes and their scales left out; whatever
    /// `config.json` says, unless there are none.
    pub fn dtype(&self) -> StoredDtype {
        let mut bytes: BTreeMap<StoredDtype, usize> = BTreeMap::new();
        for spec in weight_specs(&self.config) {
            if self.config.encodings.of(&spec) == Encoding::Dense
                && let Some(tensor) = self.tensor(&spec.name).filter(|tensor| tensor.in_file().is_some())
                && let Some(dtype) = tensor.dtype.float()
            {
                *bytes.entry(dtype).or_default() += tensor.byte_count();
            }
        }
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
    /// Elements over all weights, however they are stored.
    pub parameters: u64,
    /// Bytes of each element type.
    pub bytes_by_dtype: BTreeMap<TensorDtype, u64>,
}

#[cfg(test)]
mod encoded_tests;
#[cfg(test)]
mod tests;
