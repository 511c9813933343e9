//! Checkpoints made up of random weights: real in form and size, for testing and measuring without a download.

mod encoded;
mod random;
mod scale;
mod shard;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::config::{ConfigError, GemmaConfig};
use crate::dtype::StoredDtype;
use crate::files;
use crate::progress::{Cancelled, Meter, OnProgress};
use crate::tokenizer::{synthetic_tokenizer_config_json, synthetic_tokenizer_json};
use crate::writing::{OutputDirectory, WriteError};
use shard::Plan;

pub use scale::{Normal, distribution, tensor_distribution};

/// How to make up a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthOptions {
    /// Same seed, same weights; a tensor's values depend on this, its name and its size only.
    pub seed: u64,
    /// Element type of weights that are not encoded.
    pub dtype: StoredDtype,
    /// Most bytes of tensors in one file; more make several files and an index.
    pub max_shard_bytes: u64,
    /// Replace a model that is there already.
    pub replace: bool,
}

impl Default for SynthOptions {
    /// Seed 0, bf16, and Hugging Face's shard size of 5 GB.
    fn default() -> Self {
        Self { seed: 0, dtype: StoredDtype::Bf16, max_shard_bytes: 5_000_000_000, replace: false }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthReport {
    /// Bytes of all tensors.
    pub data_bytes: u64,
    /// Safetensors files.
    pub shards: usize,
    /// Whether the vocabulary had room for a tokenizer.
    pub has_tokenizer: bool,
}

/// Why no checkpoint was made. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The config is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The progress callback said to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Writes a random checkpoint of `config` to `directory`, in Hugging Face's form: config, weights (in the encodings of the
/// config), and a small tokenizer where the vocabulary has room for one. Memory use does not grow with the model. The directory
/// appears when it is complete.
///
/// # Errors
/// [`SynthError`]; what was written is then removed.
pub fn synth(
    config: &GemmaConfig,
    directory: &Path,
    options: &SynthOptions,
    progress: OnProgress<'_>,
) -> Result<SynthReport, SynthError> {
    let config = GemmaConfig { checkpoint_dtype: options.dtype, ..config.clone() };
    config.validate()?;
    let output = OutputDirectory::create(directory, options.replace)?;
    output.write(files::CONFIG, config.to_json())?;
    output.write(files::GENERATION_CONFIG, config.to_generation_json())?;
    let has_tokenizer = match synthetic_tokenizer_json(config.vocab_size) {
        None => false,
        Some(tokenizer) => {
            output.write(files::TOKENIZER, tokenizer)?;
            output.write(files::TOKENIZER_CONFIG, synthetic_tokenizer_config_json())?;
            true
        }
    };

    let plan = Plan::new(&config, options.dtype, options.seed, options.max_shard_bytes);
    let layout = plan.layout();
    let mut meter = Meter::new(layout.file_bytes(), progress);
    let shards = layout.file_names();
    for (shard, file) in shards.iter().enumerate() {
        write_shard(&plan, shard, &output.path().join(file), &mut meter)?;
    }
    if let Some(index) = layout.index_json() {
        output.write(files::WEIGHTS_INDEX, index)?;
    }
    let report = SynthReport { data_bytes: layout.data_bytes(), shards: shards.len(), has_tokenizer };
    output.commit()?;
    Ok(report)
}

fn write_shard(plan: &Plan<'_>, shard: usize, path: &Path, meter: &mut Meter<'_>) -> Result<(), SynthError> {
    let failed = |source| WriteError::File { path: path.to_owned(), source };
    let mut file = File::create_new(path).map_err(failed)?;
    plan.write(shard, &mut |bytes| {
        file.write_all(bytes).map_err(failed)?;
        Ok(meter.advance(bytes.len())?)
    })
}

/// A random checkpoint of `config` as the content of one safetensors file, in the config's own element type; the
/// same tensors that [`synth`] writes.
#[cfg(test)]
pub(crate) fn synth_in_memory(config: &GemmaConfig, seed: u64) -> Result<Vec<u8>, ConfigError> {
    config.validate()?;
    let plan = Plan::new(config, config.checkpoint_dtype, seed, u64::MAX);
    let mut bytes = Vec::new();
    let Ok(()) = plan.write::<std::convert::Infallible>(0, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    Ok(bytes)
}

#[cfg(test)]
mod tests;
