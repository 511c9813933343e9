//! Compiling what a batch will run before it runs.

use lapidary_models::program::{Phase, ProgramShape};

use super::Batch;
use crate::engine::sharded_buffer::ShardedBuffer;
use crate::engine::{Engine, EngineError, GenerateOptions, PREFILL_BUCKETS};

impl Batch<'_> {
    /// Compiles, at the same time, the programs of [prefills](Self::prefill) that bring a row at most each of `prefills`
    /// tokens and, if `decode`, of [decode](Self::decode). Without it, the first call of each does so itself.
    ///
    /// # Errors
    /// If a program does not compile.
    pub fn prepare(&self, prefills: &[usize], decode: bool) -> Result<(), EngineError> {
        let mut shapes = self.prefills(Phase::Prefill, prefills);
        shapes.extend(decode.then(|| self.shape(Phase::Decode, 1)));
        self.engine.prepare(&shapes, &[])
    }

    /// The same for the programs that [`Engine::generate`] runs with `options`, but that decode is not waited for: it is
    /// made while the prompt is read.
    pub(crate) fn prepare_generation(
        &self,
        prefills: &[usize],
        options: &GenerateOptions,
    ) -> Result<(), EngineError> {
        let decode = self.engine.decode_phase(options).map(|decode| self.shape(decode, 1));
        self.engine.prepare(&self.prefills(options.prefill_phase(), prefills), decode.as_slice())
    }

    /// The same, all waited for.
    pub(crate) fn prepare_whole_generation(
        &self,
        prefills: &[usize],
        options: &GenerateOptions,
    ) -> Result<(), EngineError> {
        let mut shapes = self.prefills(options.prefill_phase(), prefills);
        shapes.extend(self.engine.decode_phase(options).map(|decode| self.shape(decode, 1)));
        self.engine.prepare(&shapes, &[])
    }

    /// The steps of `prefill` that bring a row at most each of some numbers of tokens.
    fn prefills(&self, prefill: Phase, tokens: &[usize]) -> Vec<ProgramShape> {
        let steps = |&tokens: &usize| self.engine.steps(prefill, self.rows(), tokens, self.capacity);
        tokens.iter().flat_map(steps).collect()
    }

    /// Compiles every program that [`Engine::generate`] can need with `options`, for as many rows as these, if prompt and
    /// answer have up to `positions` tokens: steps of all lengths at each capacity up to theirs, and what grows the
    /// cache from one to the next. After that nothing is compiled any more, however long the prompts are that come.
    ///
    /// # Errors
    /// If a program does not compile.
    pub fn warm_up(&self, positions: usize, options: &GenerateOptions) -> Result<(), EngineError> {
        let capacities: Vec<usize> =
            self.engine.capacities(self.capacity, self.engine.capacity(positions)).collect();
        for &capacity in &capacities {
            let step = |tokens| self.engine.step(options.prefill_phase(), self.rows(), tokens, capacity);
            let decode = self
                .engine
                .decode_phase(options)
                .map(|decode| self.engine.shape(decode, self.rows(), 1, capacity));
            let shapes: Vec<ProgramShape> = PREFILL_BUCKETS.map(step).into_iter().chain(decode).collect();
            self.engine.prepare(&shapes, &[])?;
        }
        self.prepare_growths(&capacities)
    }

    /// Bytes of the KV cache on all devices together, what a mesh holds in copies counted once.
    pub fn cache_bytes(&self) -> usize {
        self.shape(Phase::Decode, 1).cache_bytes(&self.engine.config)
    }

    /// Bytes of memory that the KV cache takes on the devices of this process, as the plugin tells: copies and what a
    /// device pads are counted.
    ///
    /// # Errors
    /// If the plugin does not tell.
    pub fn device_bytes(&self) -> lapidary_runtime::Result<usize> {
        self.state.values().map(ShardedBuffer::device_bytes).sum()
    }
}

impl Engine {
    /// The steps of `phase` that bring a row `tokens` tokens.
    pub(in crate::engine) fn steps(
        &self,
        phase: Phase,
        rows: usize,
        tokens: usize,
        capacity: usize,
    ) -> impl Iterator<Item = ProgramShape> {
        let mut remaining = tokens;
        std::iter::from_fn(move || {
            let step = (remaining > 0).then(|| self.step(phase, rows, remaining, capacity))?;
            remaining = remaining.saturating_sub(step.tokens.max(1));
            Some(step)
        })
    }
}
