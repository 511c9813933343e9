//! Opening a checkpoint: find the files, read their headers, match their tensors to the config.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{CheckpointError, TensorProblem, TensorProblems};
use super::source::Source;
use super::tensor::TensorView;
use super::{Checkpoint, encoded, header, index};
use crate::config::GemmaConfig;
use crate::encoding::Encodings;
use crate::files;
use crate::gguf::{self, Gguf};
use crate::weights::{WeightRole, WeightSpec, weight_specs};

const LM_HEAD: &str = "lm_head.weight";

impl Checkpoint {
    /// Opens a model directory, or a GGUF file. Files are mapped, not read, so this takes no longer for a larger model (save
    /// where a redundant `lm_head.weight` is compared with the embedding).
    ///
    /// # Errors
    /// [`CheckpointError`], which names the file and the tensor.
    pub fn open(model: &Path) -> Result<Self, CheckpointError> {
        if gguf::is_gguf(model) {
            return Gguf::open(model)?.checkpoint();
        }
        let config = GemmaConfig::open(model)?;
        let tensors = match weight_files(model)? {
            WeightFiles::Single(path) => read_single(Arc::new(map(&path)?))?,
            WeightFiles::Indexed(index) => read_shards(model, &index)?,
        };
        Self::from_tensors(model.to_owned(), config, tensors)
    }

    /// A checkpoint whose only safetensors file is in memory, be it allocated or part of the program; `name`
    /// stands for its path in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(
        config: GemmaConfig,
        name: &str,
        bytes: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, CheckpointError> {
        config.validate()?;
        let tensors = read_single(Arc::new(Source::memory(name, bytes.into())))?;
        Self::from_tensors(PathBuf::from(name), config, tensors)
    }

    /// A checkpoint of the tensors by name that `path` holds, in whatever encoding they turn out to be.
    pub(crate) fn from_tensors(
        path: PathBuf,
        mut config: GemmaConfig,
        tensors: HashMap<String, TensorView>,
    ) -> Result<Self, CheckpointError> {
        let (encodings, tensors) = select(&path, &config, tensors)?;
        config.encodings = encodings;
        Ok(Self::new(path, config, tensors))
    }
}

enum WeightFiles {
    Single(PathBuf),
    Indexed(PathBuf),
}

/// The single file wins over an index, as in transformers; a lone safetensors file of another name will do.
fn weight_files(directory: &Path) -> Result<WeightFiles, CheckpointError> {
    let single = directory.join(files::WEIGHTS);
    let index = directory.join(files::WEIGHTS_INDEX);
    // A dangling link (a hub cache whose blob was deleted) is there, and shall fail by its name.
    if single.symlink_metadata().is_ok() {
        return Ok(WeightFiles::Single(single));
    }
    if index.symlink_metadata().is_ok() {
        return Ok(WeightFiles::Indexed(index));
    }
    let names = file_names(directory)
        .map_err(|source| CheckpointError::Read { path: directory.to_owned(), source })?;
    let has_extension = |name: &&String, wanted: &[&str]| {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| wanted.contains(&extension))
    };
    let mut safetensors = names.iter().filter(|name| has_extension(name, &["safetensors"]));
    match (safetensors.next(), safetensors.next()) {
        (Some(only), None) => Ok(WeightFiles::Single(directory.join(only))),
        _ => {
            let other = ["safetensors", "bin", "gguf", "h5", "msgpack", "pt", "pth", "npz"];
            let found = names.iter().filter(|name| has_extension(name, &other)).cloned().collect();
            Err(CheckpointError::NoWeights { directory: directory.to_owned(), found })
        }
    }
}

fn file_names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn map(path: &Path) -> Result<Source, CheckpointError> {
    Source::map(path).map_err(|source| CheckpointError::Read { path: path.to_owned(), source })
}

fn read_single(source: Arc<Source>) -> Result<HashMap<String, TensorView>, CheckpointError> {
    Ok(read_file(&source)?.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect())
}

fn read_file(source: &Arc<Source>) -> Result<Vec<TensorView>, CheckpointError> {
    let tensors = header::parse(source.bytes())
        .map_err(|error| CheckpointError::Header { path: source.path().to_owned(), source: error })?;
    let view = |tensor: header::HeaderTensor| {
        TensorView::stored(tensor.name, tensor.dtype, tensor.dims, Arc::clone(source), tensor.range)
    };
    Ok(tensors.into_iter().map(view).collect())
}

/// Reads every shard that the index names, and holds index and shards to each other.
fn read_shards(directory: &Path, index_path: &Path) -> Result<HashMap<String, TensorView>, CheckpointError> {
    let text = std::fs::read(index_path)
        .map_err(|source| CheckpointError::Read { path: index_path.to_owned(), source })?;
    let shard_of = index::parse(&text)
        .map_err(|source| CheckpointError::Index { path: index_path.to_owned(), source })?;
    // Each file once, with the first tensor that is mapped to it.
    let mut files = BTreeMap::new();
    for (tensor, file) in &shard_of {
        files.entry(file).or_insert(tensor);
    }

    let mut tensors: HashMap<String, TensorView> = HashMap::with_capacity(shard_of.len());
    let mut problems = Vec::new();
    for (file, tensor) in files {
        let path = directory.join(file);
        let source = Source::map(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CheckpointError::MissingShard {
                index: index_path.to_owned(),
                file: path.clone(),
                tensor: tensor.clone(),
            },
            _ => CheckpointError::Read { path: path.clone(), source },
        })?;
        for tensor in read_file(&Arc::new(source))? {
            let name = tensor.name.clone();
            match shard_of.get(&name) {
                None => problems.push(TensorProblem::NotInIndex { name, file: path.clone() }),
                Some(mapped) if mapped != file => problems.push(TensorProblem::Duplicate {
                    name,
                    first: directory.join(mapped),
                    second: path.clone(),
                }),
                Some(_) => {
                    tensors.insert(name, tensor);
                }
            }
        }
    }
    for (name, file) in &shard_of {
        if !tensors.contains_key(name) {
            problems.push(TensorProblem::NotInShard { name: name.clone(), file: directory.join(file) });
        }
    }
    no_problems(directory, problems)?;
    Ok(tensors)
}

/// The tensors that `config` calls for, in order, and how they store its weights; an error unless the files hold just
/// these.
fn select(
    directory: &Path,
    config: &GemmaConfig,
    mut tensors: HashMap<String, TensorView>,
) -> Result<(Encodings, Vec<TensorView>), CheckpointError> {
    let specs = weight_specs(config);
    let mut encodings = Encodings::default();
    let mut selected = Vec::with_capacity(specs.len());
    let mut problems = Vec::new();
    for spec in specs {
        let declared = Some(config.encodings.of(&spec)).filter(|_| !config.encodings.is_dense());
        match encoded::take(&spec, &mut tensors, declared, directory) {
            Ok((encoding, parts)) => {
                encodings.set(&spec, encoding);
                selected.extend(parts);
            }
            Err(problem) => {
                // What is left of the weight is no problem of its own.
                for name in [spec.packed_name(), spec.scales_name(), spec.offsets_name(), spec.name] {
                    tensors.remove(&name);
                }
                problems.push(problem);
            }
        }
    }
    let head = tensors.remove(LM_HEAD);
    let mut extra: Vec<_> = tensors.into_values().filter(|tensor| !is_derived(&tensor.name)).collect();
    extra.sort_by(|a, b| a.name.cmp(&b.name));
    problems.extend(extra.into_iter().map(|tensor| {
        let TensorView { name, dims: found, source, .. } = tensor;
        let file = source.path().to_owned();
        match encoded::unsupported(&name) {
            Some(reason) => TensorProblem::Unsupported { name, file, reason },
            None => TensorProblem::Extra { name, found, file },
        }
    }));
    no_problems(directory, problems)?;
    if let Some(head) = head {
        check_tied(config, &selected, &head)?;
    }
    Ok((encodings, selected))
}

fn no_problems(directory: &Path, problems: Vec<TensorProblem>) -> Result<(), CheckpointError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::Tensors { directory: directory.to_owned(), problems: TensorProblems(problems) })
}

/// RoPE frequencies, which early versions of transformers saved although they follow from the config.
fn is_derived(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
}

/// Some exporters write the tied projection out a second time. That is harmless if it is the same matrix, and
/// only then: ignoring one that was trained apart would change every logit.
fn check_tied(
    config: &GemmaConfig,
    selected: &[TensorView],
    head: &TensorView,
) -> Result<(), CheckpointError> {
    let embedding = WeightSpec::new(config, WeightRole::Embedding, None).name;
    let embedding = selected.iter().find(|tensor| tensor.name == embedding);
    if embedding.is_some_and(|embedding| is_same(embedding, head)) {
        return Ok(());
    }
    Err(CheckpointError::UntiedHead { file: head.source.path().to_owned() })
}

/// Compares two tensors bit by bit, without keeping what was read resident.
fn is_same(a: &TensorView, b: &TensorView) -> bool {
    const BLOCK: usize = 8 << 20;
    let (a_bytes, b_bytes) = (a.bytes(), b.bytes());
    let mut blocks = a_bytes.chunks(BLOCK).zip(b_bytes.chunks(BLOCK)).enumerate();
    let same_block = |(at, (a_block, b_block)): (usize, (&[u8], &[u8]))| {
        let same = a_block == b_block;
        for (source, range) in [a, b].into_iter().filter_map(TensorView::in_file) {
            let start = range.start + at * BLOCK;
            source.release(start..start + a_block.len());
        }
        same
    };
    a.dtype == b.dtype && a.dims == b.dims && blocks.all(same_block)
}
