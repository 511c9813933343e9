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
        let buckets = prefills.iter().flat_map(|&tokens| Engine::buckets(tokens, self.capacity));
        let mut shapes: Vec<ProgramShape> =
            buckets.map(|bucket| self.shape(Phase::Prefill, bucket)).collect();
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
    /// The buckets of the steps that bring a row `tokens` tokens.
    pub(in crate::engine) fn buckets(tokens: usize, capacity: usize) -> impl Iterator<Item = usize> {
        let bucket = move |&remaining: &usize| Self::bucket(remaining, capacity);
        let steps = std::iter::successors(Some(tokens), move |remaining| {
            Some(remaining.saturating_sub(bucket(remaining)))
        });
        steps.take_while(|&remaining| remaining > 0).map(move |remaining| bucket(&remaining))
    }
}
