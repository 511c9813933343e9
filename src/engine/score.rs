//! Scoring: how likely each token of a sequence was.

use lapidary_models::program::{Output, Phase, ProgramShape};

use super::batch::{Step, split_rows, take_chunk};
use super::sequences::longest;
use super::{Engine, EngineError, check_sequences};

/// The likelihood of one sequence.
#[derive(Clone, PartialEq, Debug)]
pub struct Score {
    /// The sequence.
    pub tokens: Vec<u32>,
    /// Negative log-likelihood of every token but the first, in nats.
    pub nll: Vec<f32>,
}

/// Logits of consecutive positions of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct ScoreChunk<'a> {
    /// Index of the sequence.
    pub sequence: usize,
    /// First position.
    pub position: usize,
    /// `[positions, vocab]`, row-major.
    pub logits: &'a [f32],
}

/// Takes the logits of a sequence, chunk by chunk; an error ends the scoring.
pub type OnLogits<'a> = &'a mut dyn FnMut(ScoreChunk<'_>) -> Result<(), EngineError>;

impl Score {
    /// Mean of `nll`; `None` for a sequence of one token, which has nothing to predict.
    pub fn mean_nll(&self) -> Option<f64> {
        let sum: f64 = self.nll.iter().map(|&nll| f64::from(nll)).sum();
        (!self.nll.is_empty()).then(|| sum / self.nll.len() as f64)
    }

    /// e to the mean negative log-likelihood.
    pub fn perplexity(&self) -> Option<f64> {
        self.mean_nll().map(f64::exp)
    }
}

impl Engine {
    /// Compiles the programs that [`score`](Self::score) runs for `rows` sequences, the longest of `tokens` tokens, which
    /// otherwise does so itself. `logits` says whether they are to be seen.
    ///
    /// # Errors
    /// If a program does not compile.
    pub fn prepare_score(&self, rows: usize, tokens: usize, logits: bool) -> Result<(), EngineError> {
        let (rows, capacity) = (self.rows_at_a_time(rows), self.capacity(tokens));
        let shapes: Vec<ProgramShape> = self.steps(Phase::Score { logits }, rows, tokens, capacity).collect();
        self.prepare(&shapes, &[])
    }

    /// Scores sequences as one batch, or several if there are only programs of fewer rows, in chunks through the KV cache,
    /// so that memory does not grow with the square of their length. `on_logits`, if given, sees the logits at every
    /// position.
    ///
    /// # Errors
    /// If there is no sequence, or one is empty, too long or has an unknown token, a likelihood is not finite,
    /// or the device fails.
    pub fn score(
        &self,
        sequences: &[Vec<u32>],
        mut on_logits: Option<OnLogits<'_>>,
    ) -> Result<Vec<Score>, EngineError> {
        check_sequences(&self.config, sequences)?;
        let rows = self.rows_at_a_time(sequences.len());
        let mut nll = Vec::new();
        for (first, group) in (0..).step_by(rows).zip(sequences.chunks(rows)) {
            let on_logits = on_logits.as_mut().map(|on_logits| &mut **on_logits as OnLogits<'_>);
            nll.extend(self.score_together(group, first, on_logits)?);
        }
        let scores: Vec<Score> =
            sequences.iter().cloned().zip(nll).map(|(tokens, nll)| Score { tokens, nll }).collect();
        check_numbers(&scores)?;
        Ok(scores)
    }

    /// The negative log-likelihoods of sequences in the rows of one batch; `first` is the number of the first of them.
    fn score_together(
        &self,
        sequences: &[Vec<u32>],
        first: usize,
        mut on_logits: Option<OnLogits<'_>>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut batch = self.batch(sequences.len(), longest(sequences))?;
        let mut rest: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let phase = Phase::Score { logits: on_logits.is_some() };
        let mut nll: Vec<Vec<f32>> = vec![Vec::new(); sequences.len()];
        while let remaining @ 1.. = longest(&rest) {
            let shape = batch.next_step(phase, remaining);
            let program = self.program(shape)?;
            let tokens = take_chunk(&mut rest, shape.tokens);
            // What follows each token: one place further on in the whole sequence.
            let targets = sequences.iter().enumerate().zip(&tokens).map(|((row, sequence), tokens)| {
                let next = batch.length(row) + 1;
                let end = (next + tokens.len()).min(sequence.len());
                sequence.get(next..end).unwrap_or_default()
            });
            let targets: Vec<&[u32]> = targets.collect();
            let starts: Vec<usize> = (0..sequences.len()).map(|row| batch.length(row)).collect();
            let (counts, scored): (Vec<usize>, Vec<usize>) =
                tokens.iter().zip(&targets).map(|(tokens, targets)| (tokens.len(), targets.len())).unzip();
            let outputs = batch.step(&program, &Step { tokens, targets, ..Step::default() })?;
            let values = outputs.values(&program, Output::Nll)?;
            for ((nll, row), scored) in nll.iter_mut().zip(split_rows(&values, shape.batch)).zip(scored) {
                nll.extend(row.iter().take(scored));
            }
            if let Some(on_logits) = on_logits.as_deref_mut() {
                let values = outputs.values(&program, Output::Logits)?;
                let rows = split_rows(&values, shape.batch);
                let vocab = self.config.live_vocab_size();
                for (sequence, ((logits, position), count)) in (first..).zip(rows.zip(starts).zip(counts)) {
                    let logits = logits.get(..count * vocab).unwrap_or_default();
                    on_logits(ScoreChunk { sequence, position, logits })?;
                }
            }
        }
        Ok(nll)
    }
}

fn check_numbers(scores: &[Score]) -> Result<(), EngineError> {
    for (row, score) in scores.iter().enumerate() {
        let mut predicted = score.nll.iter().zip(score.tokens.iter().skip(1)).enumerate();
        if let Some((at, (&value, &token))) = predicted.find(|(_, (nll, _))| !nll.is_finite()) {
            return Err(EngineError::NonFiniteNll { row, position: at + 1, token, value });
        }
    }
    Ok(())
}
