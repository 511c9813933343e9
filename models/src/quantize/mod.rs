//! Weights in 8 and 4 bits: a model directory made of another, tensor by tensor.
//!
//! Matrices become codes with a scale for each group of neighbouring inputs, `w[o, i] = scale[o, i / group] *
//! code[o, i]`, in the layout of compressed-tensors; norms stay as they are. Nothing but the weights is looked at: no
//! text is run through the model.

mod error;
mod errors;
mod levels;
mod model_files;
mod options;
mod pattern;
mod recipe;
mod rows;
mod scale;
mod work;
mod writer;

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use crate::checkpoint::{Checkpoint, TensorView};
use crate::config::GemmaConfig;
use crate::dtype::StoredDtype;
use crate::encoding::{Encoding, Encodings};
use crate::files;
use crate::gguf;
use crate::progress::{Meter, OnProgress};
use crate::writing::{Entry, Layout, OutputDirectory};
use recipe::{Step, recipe};
use work::{Work, entries};
use writer::Writer;

pub use error::QuantizeError;
pub use errors::Errors;
pub use levels::Bits;
pub use model_files::ModelFiles;
pub use options::{EmbeddingFormat, Group, QuantizeOptions};
pub use pattern::{EmptyPattern, Pattern};

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizeReport {
    /// Every weight, in the order a forward pass meets them.
    pub tensors: Vec<QuantizedTensor>,
    /// Safetensors files.
    pub shards: usize,
}

/// What became of a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedTensor {
    /// Its name in the checkpoint that it comes from.
    pub name: String,
    /// What it is in any layer: the name of its module, such as `q_proj`, or `norms` for any norm.
    pub kind: &'static str,
    /// How it is stored now.
    pub encoding: Encoding,
    /// Bytes that it took.
    pub bytes_before: u64,
    /// Bytes that it takes, scales included.
    pub bytes_after: u64,
    /// How far what is stored is from what was; zero where nothing changed.
    pub errors: Errors,
}

/// Writes the model `source` to `directory` with weights in few bits. `model_files` is where its other files are.
/// Memory use does not grow with the model. The directory appears when it is complete. Progress counts bytes of the
/// weights read.
///
/// # Errors
/// [`QuantizeError`]; what was written is then removed.
pub fn quantize(
    source: &Checkpoint,
    model_files: ModelFiles<'_>,
    directory: &Path,
    options: &QuantizeOptions,
    progress: OnProgress<'_>,
) -> Result<QuantizeReport, QuantizeError> {
    if gguf::is_gguf(source.path()) {
        return Err(QuantizeError::Gguf { model: source.path().to_owned() });
    }
    let steps = recipe(source.config(), options)?;
    let tensors = steps.iter().map(|step| dense(source, step)).collect::<Result<Vec<_>, _>>()?;
    let config = model_files.config(&encoded(source.config(), &steps))?;
    model_files.refuse_to_replace(directory)?;

    let output = OutputDirectory::create(directory, options.replace)?;
    output.write(files::CONFIG, config)?;
    for name in files::COMPANIONS {
        if let Some(content) = model_files.read(name)? {
            output.write(name, content)?;
        }
    }
    let modules = steps.iter().zip(&tensors).map(|(step, (_, dtype))| entries(step, *dtype));
    let layout = Layout::new(modules, options.max_shard_bytes);
    let mut work = Work {
        threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        meter: Meter::new(source.byte_count(), progress),
        writer: Writer::new(&output, &layout),
    };
    let mut report = QuantizeReport { tensors: Vec::new(), shards: layout.file_names().len() };
    for (step, (tensor, dtype)) in steps.iter().zip(tensors) {
        let errors = work.write(step, tensor, dtype)?;
        let entries = entries(step, dtype);
        report.tensors.push(QuantizedTensor {
            name: step.spec.name.clone(),
            kind: step.kind(),
            encoding: step.encoding,
            bytes_before: tensor.byte_count() as u64,
            bytes_after: entries.iter().map(Entry::byte_count).sum(),
            errors,
        });
    }
    work.writer.finish()?;
    output.commit()?;
    Ok(report)
}

/// The weight of `step`, which must be stored as numbers.
fn dense<'a>(source: &'a Checkpoint, step: &Step) -> Result<(&'a TensorView, StoredDtype), QuantizeError> {
    let tensor = source.tensor(&step.spec.name);
    let dtype = tensor.and_then(|tensor| tensor.dtype().float());
    tensor.zip(dtype).ok_or_else(|| QuantizeError::AlreadyQuantized {
        model: source.path().to_owned(),
        tensor: step.spec.name.clone(),
    })
}

/// The config of the model that the steps lead to.
fn encoded(config: &GemmaConfig, steps: &[Step]) -> GemmaConfig {
    let mut encodings = Encodings::default();
    for Step { spec, encoding } in steps {
        encodings.set(spec, *encoding);
    }
    GemmaConfig { encodings, ..config.clone() }
}

#[cfg(test)]
mod distributions;
