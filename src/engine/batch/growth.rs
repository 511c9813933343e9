//! A KV cache that becomes longer while it is in use.

use std::fmt;
use std::sync::Arc;

use lapidary_graph::{BuildError, DType, FunctionBuilder, FunctionResult, Module, TensorType};
use lapidary_models::config::AttentionKind;
use lapidary_models::program::{Phase, ProgramShape, StateKind};
use lapidary_runtime::{Argument, Execution, LoadedExecutable};

use super::{Batch, SampledRow};
use crate::engine::cache::EngineProgram;
use crate::engine::executables::Executable;
use crate::engine::sharded_buffer::ShardedBuffer;
use crate::engine::{Engine, EngineError, lock};

/// A row that has taken all but this fraction of its positions will soon need more.
const SOON_FULL: usize = 4;

/// A program that copies a layer's keys or values, or the scales of either, into a buffer of more slots.
///
/// Position `p` lies in slot `p mod slots`, before and after: a cache that grows has as many slots as a row has
/// positions, so none of them has wrapped. The ring of a local layer stops growing when it has its window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CacheGrowth {
    /// Rows.
    pub batch: usize,
    /// Slots before.
    pub from: usize,
    /// Slots after, the new ones at the end.
    pub to: usize,
    /// Element type.
    pub dtype: DType,
    /// Whether a slot holds a scale for each head, rather than the head's elements.
    pub scales: bool,
}

impl fmt::Display for CacheGrowth {
    /// An identifier: `grow_b1_s128_s256_bf16`, `grow_b1_s128_s256_f32_scales`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, from, to, dtype, scales } = self;
        let suffix = if *scales { "_scales" } else { "" };
        write!(f, "grow_b{batch}_s{from}_s{to}_{dtype}{suffix}")
    }
}

impl Batch<'_> {
    /// Makes room for `positions` tokens in each row (at most the model's context), keeping what rows hold. The capacity
    /// rises from one power of two to the next, so that few programs serve all caches; it never falls.
    ///
    /// One buffer at a time is copied on the devices, the old one freed before the next: at most half a layer of the
    /// cache is held twice. Where no row holds a token, the cache is made anew instead.
    ///
    /// # Errors
    /// If there is no room, or the program that copies does not compile.
    pub fn reserve(&mut self, positions: usize) -> Result<(), EngineError> {
        let capacity = self.engine.capacity(positions);
        if capacity > self.capacity && self.lengths.iter().all(|&length| length == 0) {
            self.capacity = capacity;
            return self.clear();
        }
        for next in self.engine.capacities(self.capacity, capacity).skip(1) {
            if let Err(error) = self.grow(next) {
                // Some layers may be longer than others, which no program takes.
                self.state.clear();
                return Err(error);
            }
            self.capacity = next;
        }
        Ok(())
    }

    fn grow(&mut self, capacity: usize) -> Result<(), EngineError> {
        let engine = self.engine;
        let after = ProgramShape { capacity, ..self.shape(Phase::Decode, 1) };
        for (layer, &attention) in engine.config.layer_kinds.iter().enumerate() {
            for &kind in engine.kv_cache().kinds() {
                let Some(growth) = self.growth(attention, kind, self.capacity, capacity) else { continue };
                let program = engine.growth(growth)?;
                let old = self.state.remove(&(layer, kind)).ok_or(EngineError::StateLost)?;
                let new = engine.longer(&program, &old).map_err(|source| EngineError::Cache {
                    bytes: after.cache_bytes(&engine.config),
                    rows: after.batch,
                    positions: after.capacity,
                    source: Box::new(source),
                })?;
                self.state.insert((layer, kind), new);
            }
        }
        Ok(())
    }

    /// The growth of what a layer has of the cache between two capacities, if its slots become more.
    fn growth(
        &self,
        attention: AttentionKind,
        kind: StateKind,
        from: usize,
        to: usize,
    ) -> Option<CacheGrowth> {
        let shape = self.shape(Phase::Decode, 1);
        let slots = |capacity| ProgramShape { capacity, ..shape }.cache_len(attention);
        let (from, to) = (slots(from), slots(to));
        let dtype = shape.cache_type(&self.engine.config, attention, kind).dtype;
        (from < to).then_some(CacheGrowth { batch: shape.batch, from, to, dtype, scales: kind.is_scales() })
    }

    /// What takes the cache from one capacity to another, each once.
    fn growths(&self, from: usize, to: usize) -> Vec<EngineProgram> {
        let mut growths = Vec::new();
        let kinds = self.engine.kv_cache().kinds();
        for &attention in &self.engine.config.layer_kinds {
            for &kind in kinds {
                let growth = self.growth(attention, kind, from, to).map(EngineProgram::Growth);
                growths.extend(growth.filter(|growth| !growths.contains(growth)));
            }
        }
        growths
    }

    /// Compiles all that takes the cache from each capacity to the next.
    pub(super) fn prepare_growths(&self, capacities: &[usize]) -> Result<(), EngineError> {
        let steps = capacities.iter().zip(capacities.iter().skip(1));
        let growths: Vec<EngineProgram> = steps.flat_map(|(&from, &to)| self.growths(from, to)).collect();
        self.engine.executables.prepare(&growths, &[])
    }

    /// Once a row has taken most of its positions and is to go beyond them, has the programs made of the next capacity,
    /// while the rows go on: what grows the cache, and the steps of `decode`.
    pub(super) fn prepare_to_grow(
        &self,
        rows: &[Option<SampledRow<'_>>],
        decode: Phase,
    ) -> Result<(), EngineError> {
        let (engine, capacity) = (self.engine, self.capacity);
        let is_soon_full = |(row, &length): (&Option<SampledRow<'_>>, &usize)| {
            let outgrows = row.as_ref().is_some_and(|row| row.remaining > capacity.saturating_sub(length));
            outgrows && length >= capacity - capacity / SOON_FULL
        };
        if !rows.iter().zip(&self.lengths).any(is_soon_full) {
            return Ok(());
        }
        let Some(next) = engine.capacities(capacity, usize::MAX).nth(1) else { return Ok(()) };
        let mut programs = self.growths(capacity, next);
        programs.push(EngineProgram::Step(ProgramShape { capacity: next, ..self.shape(decode, 1) }));
        engine.executables.prepare(&[], &programs)
    }
}

impl Engine {
    /// The capacities from one up to another, in their order.
    pub(super) fn capacities(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let next = |&capacity: &usize| Some(self.capacity(capacity + 1)).filter(|&next| next > capacity);
        std::iter::successors(Some(from), next).take_while(move |&capacity| capacity <= to)
    }

    /// The executable of a growth, made when it is first asked for.
    fn growth(&self, growth: CacheGrowth) -> Result<Arc<LoadedExecutable>, EngineError> {
        let program = EngineProgram::Growth(growth);
        match self.executables.get(program)? {
            Executable::Growth(executable) => Ok(executable),
            Executable::Step(_) => Err(EngineError::CompilerThread(program)),
        }
    }

    /// What a growth makes of `old`.
    fn longer(
        &self,
        program: &LoadedExecutable,
        old: &ShardedBuffer,
    ) -> lapidary_runtime::Result<ShardedBuffer> {
        let mut arguments: Vec<Vec<Argument<'_>>> =
            self.placement.addressable_devices().map(|_| Vec::new()).collect();
        old.lend(&mut arguments);
        let launched = {
            let _turn = lock(&self.launch);
            program.execute(arguments)
        };
        let results = launched.and_then(Execution::wait)?;
        Ok(ShardedBuffer::new(results.into_iter().flatten().collect()))
    }
}

impl CacheGrowth {
    /// The module of a cache with `kv_heads` heads of `head_dim` elements. New slots are zero: attention gives them no
    /// weight, but nothing times what is no number would be none.
    pub(in crate::engine) fn build(&self, kv_heads: usize, head_dim: usize) -> Result<Module, BuildError> {
        let mut module = Module::new(format!("{self}_h{kv_heads}_d{head_dim}"));
        let mut b = FunctionBuilder::new(&mut module, "main");
        let kind = if self.scales { StateKind::KeyScales } else { StateKind::Keys };
        let axes = kind.axes();
        let dims = [self.batch, kv_heads, self.from, head_dim];
        // Scales have no dimension of a head's elements.
        let dims = dims.get(..axes.0.len()).unwrap_or(&dims);
        let ty = TensorType::new(self.dtype, dims);
        let old = b.labelled_param("old", ty, Some(axes.clone()));
        let zero = b.splat(0.0, &TensorType::scalar(self.dtype))?;
        let added = self.to.saturating_sub(self.from) as i64;
        let rank = dims.len();
        let behind: Vec<i64> = (0..rank).map(|dim| if dim == 2 { added } else { 0 }).collect();
        let value = b.pad(old, zero, &vec![0; rank], &behind, &vec![0; rank])?;
        b.finish_with(vec![FunctionResult { value, name: "new".to_string(), axes: Some(axes) }]);
        Ok(module)
    }
}
