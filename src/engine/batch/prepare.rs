//! Compiling what a batch will run before it runs.

use lapidary_models::program::{Phase, ProgramShape};

use super::Batch;
use crate::engine::{Engine, EngineError};

impl Batch<'_> {
    /// Compiles, at the same time, the programs of prefills that bring a row at most each of `prefills` tokens and, if
    /// `decode`, of decode. Without it, the first call of each does so itself.
    ///
    /// # Errors
    /// If a program does not compile.
    pub fn prepare(&self, prefills: &[usize], decode: bool) -> Result<(), EngineError> {
        let steps = |&tokens: &usize| self.engine.steps(Phase::Prefill, self.rows(), tokens, self.capacity);
        let mut shapes: Vec<ProgramShape> = prefills.iter().flat_map(steps).collect();
        if decode {
            shapes.push(self.shape(Phase::Decode, 1));
        }
        self.engine.prepare(&shapes)
    }

    /// Bytes of the KV cache on all devices together, what a mesh holds in copies counted once.
    pub fn cache_bytes(&self) -> usize {
        self.shape(Phase::Decode, 1).cache_bytes(&self.engine.config)
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
