//! Safetensors files of random weights, written front to back.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::random::{ELEMENTS_PER_WORD, NormalQuantiles, stream_key};
use super::scale::distribution;
use crate::config::GemmaConfig;
use crate::dtype::StoredDtype;
use crate::files;
use crate::weights::{WeightSpec, weight_specs};

/// Elements made at a time: all of a file that is ever in memory.
const BLOCK: usize = ELEMENTS_PER_WORD << 17;
/// Tensor data begins at a multiple of this, so that a mapped tensor can be used where it lies.
const DATA_ALIGNMENT: usize = 64;
const HEADER_LENGTH_BYTES: usize = 8;

/// The files of a checkpoint, and what goes into each.
pub(super) struct Plan<'a> {
    config: &'a GemmaConfig,
    dtype: StoredDtype,
    seed: u64,
    specs: Vec<WeightSpec>,
    quantiles: NormalQuantiles,
    /// Which of `specs` each file holds.
    shards: Vec<Range<usize>>,
}

impl<'a> Plan<'a> {
    /// Distributes the weights of `config` over files of at most `max_shard_bytes` of data, or of one tensor.
    pub(super) fn new(config: &'a GemmaConfig, dtype: StoredDtype, seed: u64, max_shard_bytes: u64) -> Self {
        let specs = weight_specs(config);
        let mut shards = Vec::new();
        let (mut start, mut filled) = (0, 0);
        for (at, spec) in specs.iter().enumerate() {
            let bytes = byte_count(spec, dtype);
            if at > start && filled + bytes > max_shard_bytes {
                shards.push(start..at);
                (start, filled) = (at, 0);
            }
            filled += bytes;
        }
        shards.push(start..specs.len());
        Self { config, dtype, seed, specs, quantiles: NormalQuantiles::new(), shards }
    }

    /// Bytes of all tensors.
    pub(super) fn data_bytes(&self) -> u64 {
        self.specs.iter().map(|spec| byte_count(spec, self.dtype)).sum()
    }

    /// Bytes of all files, headers included.
    pub(super) fn file_bytes(&self) -> u64 {
        let headers = self.shards.iter().map(|shard| self.header(shard).len() as u64);
        self.data_bytes() + headers.sum::<u64>()
    }

    /// The files' names, as Hugging Face's.
    pub(super) fn file_names(&self) -> Vec<String> {
        match self.shards.len() {
            1 => vec![files::WEIGHTS.to_owned()],
            count => (1..=count).map(|shard| format!("model-{shard:05}-of-{count:05}.safetensors")).collect(),
        }
    }

    /// The text of `model.safetensors.index.json`; `None` for a single file, which needs none.
    pub(super) fn index_json(&self) -> Option<String> {
        if self.shards.len() == 1 {
            return None;
        }
        let files = self.file_names();
        let weight_map: BTreeMap<_, _> = files
            .iter()
            .zip(&self.shards)
            .flat_map(|(file, shard)| self.specs_of(shard).iter().map(move |spec| (&spec.name, file)))
            .collect();
        let index = json!({"metadata": {"total_size": self.data_bytes()}, "weight_map": weight_map});
        Some(format!("{index:#}\n"))
    }

    /// Passes the content of file number `shard` to `sink`, piece by piece, and stops at its first error.
    pub(super) fn write<E>(
        &self,
        shard: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(shard) = self.shards.get(shard) else { return Ok(()) };
        sink(&self.header(shard))?;
        let mut block = vec![0; BLOCK * self.dtype.size()];
        for spec in self.specs_of(shard) {
            let normal = distribution(self.config, spec);
            let quantiles = self.quantiles.encoded(normal.mean, normal.std, self.dtype);
            let key = stream_key(self.seed, &spec.name);
            let count = spec.element_count();
            for first in (0..count).step_by(BLOCK) {
                let bytes = (count - first).min(BLOCK) * self.dtype.size();
                let out = block.get_mut(..bytes).unwrap_or_default();
                quantiles.fill(key, first as u64, out);
                sink(out)?;
            }
        }
        Ok(())
    }

    fn specs_of(&self, shard: &Range<usize>) -> &[WeightSpec] {
        self.specs.get(shard.clone()).unwrap_or_default()
    }

    fn header(&self, shard: &Range<usize>) -> Vec<u8> {
        let mut entries = Map::new();
        entries.insert("__metadata__".to_owned(), json!({"format": "pt"}));
        let mut begin = 0;
        for spec in self.specs_of(shard) {
            let end = begin + byte_count(spec, self.dtype);
            let entry = json!({
                "dtype": self.dtype.safetensors_name(), "shape": spec.dims, "data_offsets": [begin, end],
            });
            entries.insert(spec.name.clone(), entry);
            begin = end;
        }
        let mut text = Value::Object(entries).to_string();
        let padded = (HEADER_LENGTH_BYTES + text.len()).next_multiple_of(DATA_ALIGNMENT);
        // The format allows spaces at the end for this very purpose.
        text.extend(std::iter::repeat_n(' ', padded - HEADER_LENGTH_BYTES - text.len()));
        let mut header = (text.len() as u64).to_le_bytes().to_vec();
        header.extend_from_slice(text.as_bytes());
        header
    }
}

fn byte_count(spec: &WeightSpec, dtype: StoredDtype) -> u64 {
    (spec.element_count() * dtype.size()) as u64
}
