//! Safetensors files of random weights, written front to back.

use std::collections::HashMap;

use super::encoded::{Filling, tensors};
use super::random::{ELEMENTS_PER_WORD, NormalQuantiles, stream_key};
use super::scale::distribution;
use crate::config::GemmaConfig;
use crate::dtype::StoredDtype;
use crate::weights::{WeightSpec, weight_specs};
use crate::writing::Layout;

/// Elements made at a time: all of a file that is ever in memory.
const BLOCK: usize = ELEMENTS_PER_WORD << 17;

/// The files of a checkpoint, and what goes into each.
pub(super) struct Plan<'a> {
    config: &'a GemmaConfig,
    seed: u64,
    /// Each tensor's weight, and what fills it.
    fillings: HashMap<String, (WeightSpec, Filling)>,
    quantiles: NormalQuantiles,
    layout: Layout,
}

impl<'a> Plan<'a> {
    /// Distributes the weights of `config` over files of at most `max_shard_bytes` of data, or of one tensor.
    pub(super) fn new(config: &'a GemmaConfig, dtype: StoredDtype, seed: u64, max_shard_bytes: u64) -> Self {
        let mut fillings = HashMap::new();
        let mut modules = Vec::new();
        for weight in weight_specs(config) {
            let mut module = Vec::new();
            for (entry, filling) in tensors(&weight, config.encodings.of(&weight), dtype) {
                fillings.insert(entry.name.clone(), (weight.clone(), filling));
                module.push(entry);
            }
            modules.push(module);
        }
        let layout = Layout::new(modules, max_shard_bytes);
        Self { config, seed, fillings, quantiles: NormalQuantiles::new(), layout }
    }

    /// Which file holds what, and where.
    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Passes the content of file number `shard` to `sink`, piece by piece, and stops at its first error.
    pub(super) fn write<E>(
        &self,
        shard: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        sink(&self.layout.header(shard))?;
        let mut block = Vec::new();
        for entry in self.layout.entries(shard) {
            let Some((weight, filling)) = self.fillings.get(&entry.name) else { continue };
            let encoding = self.config.encodings.of(weight);
            let normal = distribution(self.config, weight);
            let Some(quantiles) = filling.quantiles(&self.quantiles, encoding, normal) else {
                let sizes: Vec<u8> =
                    weight.dims.iter().flat_map(|&size| (size as u64).to_le_bytes()).collect();
                sink(&sizes)?;
                continue;
            };
            let key = stream_key(self.seed, &entry.name);
            let size = quantiles.size();
            let count = entry.byte_count() as usize / size;
            block.resize(BLOCK * size, 0);
            for first in (0..count).step_by(BLOCK) {
                let bytes = (count - first).min(BLOCK) * size;
                let out = block.get_mut(..bytes).unwrap_or_default();
                quantiles.fill(key, first as u64, out);
                sink(out)?;
            }
        }
        Ok(())
    }
}
