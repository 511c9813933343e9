//! How likely a model finds documents.

use std::ops::ControlFlow;

use lapidary_models::config::GemmaConfig;
use lapidary_models::progress::{OnProgress, Progress};

use super::longest_first;
use super::windows::{Window, Windowing};
use crate::engine::{Engine, EngineError, MAX_STEP_TOKENS};

/// Most rows of a batch by default. More hardly run faster where there is enough memory for them.
const MAX_DEFAULT_ROWS: usize = 8;
/// Memory for the logits of a step by default: with Gemma's vocabulary they outgrow everything else.
const STEP_LOGITS_BYTES: usize = 1 << 30;

/// The likelihood of all tokens of some documents.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Likelihood {
    /// Windows that were run.
    pub windows: usize,
    /// Tokens scored: all of the documents', BOS not counted.
    pub tokens: usize,
    /// Mean negative log-likelihood of a token, in nats.
    pub mean_nll: f64,
    /// Standard error of that mean, as if tokens were independent draws; `None` for a single token.
    pub mean_nll_stderr: Option<f64>,
}

impl Likelihood {
    /// e to the mean negative log-likelihood.
    pub fn perplexity(&self) -> f64 {
        self.mean_nll.exp()
    }

    /// Bits to encode a byte of the documents with, which compares models of different vocabularies.
    pub fn bits_per_byte(&self, bytes: usize) -> f64 {
        self.mean_nll * self.tokens as f64 / std::f64::consts::LN_2 / bytes as f64
    }
}

/// How many windows to run at a time where nobody says otherwise: a few, or fewer for a large vocabulary.
pub fn default_rows(config: &GemmaConfig) -> usize {
    let row = MAX_STEP_TOKENS * config.vocab_size * size_of::<f32>();
    (STEP_LOGITS_BYTES / row.max(1)).clamp(1, MAX_DEFAULT_ROWS)
}

/// Compiles the programs that [`likelihood`] begins with.
///
/// # Errors
/// If a program does not compile.
pub fn prepare_likelihood(
    engine: &Engine,
    documents: &[impl AsRef<[u32]>],
    windowing: Windowing,
    rows: usize,
) -> Result<(), EngineError> {
    let windows = documents.iter().flat_map(|document| windowing.over(document.as_ref().len()));
    let (count, longest) =
        windows.fold((0, 0), |(count, longest), window| (count + 1, window.tokens.len().max(longest)));
    // BOS comes before each.
    engine.prepare_score(rows.clamp(1, count.max(1)), longest + 1, false)
}

/// Scores documents (without BOS) in windows, `rows` of them at a time. Only likelihoods leave the device.
/// Progress counts tokens scored.
///
/// # Errors
/// If there are no tokens, one is unknown, a likelihood is not finite, or the device fails; a sequence that an
/// error speaks of is a document. [`EngineError::Cancelled`] if `progress` says so.
pub fn likelihood(
    engine: &Engine,
    documents: &[impl AsRef<[u32]>],
    windowing: Windowing,
    rows: usize,
    progress: OnProgress<'_>,
) -> Result<Likelihood, EngineError> {
    let windows: Vec<DocumentWindow<'_>> = documents
        .iter()
        .enumerate()
        .flat_map(|(document, tokens)| {
            let tokens = tokens.as_ref();
            windowing.over(tokens.len()).map(move |window| DocumentWindow { document, tokens, window })
        })
        .collect();
    if windows.is_empty() {
        return Err(EngineError::NoSequences);
    }
    let lengths: Vec<usize> = windows.iter().map(|window| window.window.tokens.len()).collect();
    let order = longest_first(&lengths);
    let rows = rows.clamp(1, windows.len());
    let bos = engine.config().bos_token_id;

    let mut moments = Moments::default();
    let mut report = Progress { done: 0, total: windows.iter().map(|w| w.window.scored as u64).sum() };
    for group in order.chunks(rows) {
        if progress(report) == ControlFlow::Break(()) {
            return Err(EngineError::Cancelled);
        }
        let group: Vec<&DocumentWindow<'_>> = group.iter().filter_map(|&index| windows.get(index)).collect();
        let mut sequences: Vec<Vec<u32>> = group.iter().map(|window| window.sequence(bos)).collect();
        // The last batch may be smaller. No program is worth compiling for it: it gets rows without a target.
        sequences.resize(rows, vec![bos]);
        let scores = engine.score(&sequences, None).map_err(|error| in_document(error, &group))?;
        for (window, score) in group.iter().zip(&scores) {
            let unscored = score.nll.len() - window.window.scored;
            score.nll.iter().skip(unscored).for_each(|&nll| moments.add(f64::from(nll)));
            report.done += window.window.scored as u64;
        }
    }
    let _ = progress(report);
    Ok(Likelihood {
        windows: windows.len(),
        tokens: moments.count,
        mean_nll: moments.mean,
        mean_nll_stderr: moments.stderr_of_mean(),
    })
}

/// A window and the document that it is over.
struct DocumentWindow<'d> {
    document: usize,
    tokens: &'d [u32],
    window: Window,
}

impl DocumentWindow<'_> {
    fn sequence(&self, bos: u32) -> Vec<u32> {
        let tokens = self.tokens.get(self.window.tokens.clone()).unwrap_or_default();
        std::iter::once(bos).chain(tokens.iter().copied()).collect()
    }
}

/// Windows are ours; the caller knows documents.
fn in_document(error: EngineError, group: &[&DocumentWindow<'_>]) -> EngineError {
    let place = |row: usize, position: usize| {
        let window = group.get(row)?;
        // The window's first token follows BOS.
        Some((window.document, window.window.tokens.start + position.checked_sub(1)?))
    };
    match error {
        EngineError::NonFiniteNll { row, position, token, value } => {
            let (row, position) = place(row, position).unwrap_or((row, position));
            EngineError::NonFiniteNll { row, position, token, value }
        }
        EngineError::TokenId { row, position, id, vocab } => {
            let (row, position) = place(row, position).unwrap_or((row, position));
            EngineError::TokenId { row, position, id, vocab }
        }
        other => other,
    }
}

/// Mean and variance of a stream of numbers, by Welford's method, which does not cancel.
#[derive(Default)]
struct Moments {
    count: usize,
    mean: f64,
    squared_deviations: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let deviation = value - self.mean;
        self.mean += deviation / self.count as f64;
        self.squared_deviations += deviation * (value - self.mean);
    }

    fn stderr_of_mean(&self) -> Option<f64> {
        let degrees = self.count.checked_sub(1).filter(|&degrees| degrees > 0)?;
        Some((self.squared_deviations / degrees as f64 / self.count as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_formulas() {
        let mut moments = Moments::default();
        assert_eq!(moments.stderr_of_mean(), None);
        for value in [1.0, 2.0, 4.0, 9.0] {
            moments.add(value);
        }
        assert_eq!((moments.count, moments.mean), (4, 4.0));
        // Squared deviations 9 + 4 + 0 + 25, over 3 degrees of freedom and 4 values.
        let expected = (38.0_f64 / 3.0 / 4.0).sqrt();
        assert!(moments.stderr_of_mean().is_some_and(|stderr| (stderr - expected).abs() < 1e-12));
    }

    #[test]
    fn bits_per_byte_and_perplexity() {
        // Three tokens of two bits each stand for four bytes.
        let mean_nll = 2.0 * std::f64::consts::LN_2;
        let likelihood = Likelihood { windows: 1, tokens: 3, mean_nll, mean_nll_stderr: None };
        assert!((likelihood.bits_per_byte(4) - 1.5).abs() < 1e-12);
        assert!((likelihood.perplexity() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_large_vocabulary_gets_fewer_rows() {
        let tiny = GemmaConfig::tiny();
        assert_eq!(default_rows(&tiny), 8);
        assert_eq!(default_rows(&GemmaConfig { vocab_size: 256_000, ..tiny.clone() }), 2);
        assert_eq!(default_rows(&GemmaConfig { vocab_size: 4_000_000, ..tiny }), 1);
    }
}
