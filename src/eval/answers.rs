//! Greedy answers to many prompts.

use std::ops::ControlFlow;

use lapidary_models::progress::{OnProgress, Progress};
use lapidary_models::tokenizer::Tokenizer;

use super::longest_first;
use crate::engine::{Engine, EngineError, FinishReason, GenerateOptions};

/// Compiles the programs that [`answers`] begins with.
///
/// # Errors
/// As [`Engine::prepare_generation`].
pub fn prepare_answers(
    engine: &Engine,
    prompts: &[Vec<u32>],
    max_new_tokens: usize,
    rows: usize,
) -> Result<(), EngineError> {
    let options = GenerateOptions { max_new_tokens, ..GenerateOptions::default() };
    let first = batches(prompts, rows).into_iter().next();
    first.map_or(Ok(()), |(_, batch)| engine.prepare_generation(&batch, &options))
}

/// Answers prompts greedily, `rows` of them at a time, each until the model ends it or it has `max_new_tokens`.
/// The texts come in the order of the prompts. Progress counts prompts answered.
///
/// # Errors
/// As [`Engine::generate`], where a sequence is one of a batch; [`EngineError::Cancelled`] if `progress` says so.
pub fn answers(
    engine: &Engine,
    tokenizer: &Tokenizer,
    prompts: &[Vec<u32>],
    max_new_tokens: usize,
    rows: usize,
    progress: OnProgress<'_>,
) -> Result<Vec<String>, EngineError> {
    let options = GenerateOptions { max_new_tokens, ..GenerateOptions::default() };
    let mut texts = vec![String::new(); prompts.len()];
    let mut report = Progress { done: 0, total: prompts.len() as u64 };
    for (group, batch) in batches(prompts, rows) {
        let mut watch = |_: crate::engine::Piece<'_>| -> ControlFlow<()> { progress(report) };
        let (generations, _) = engine.generate(&batch, Some(tokenizer), &options, &mut watch)?;
        for (index, generation) in group.into_iter().zip(generations) {
            if generation.finish_reason == FinishReason::Cancelled {
                return Err(EngineError::Cancelled);
            }
            if let Some(text) = texts.get_mut(index) {
                *text = generation.text;
            }
            report.done += 1;
        }
    }
    let _ = progress(report);
    Ok(texts)
}

/// Prompts in batches of `rows`, each with the indices of its prompts.
fn batches(prompts: &[Vec<u32>], rows: usize) -> Vec<(Vec<usize>, Vec<Vec<u32>>)> {
    let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
    let rows = rows.clamp(1, prompts.len().max(1));
    let batch = |group: &[usize]| {
        let mut batch: Vec<Vec<u32>> =
            group.iter().filter_map(|&index| prompts.get(index)).cloned().collect();
        // The last batch may be smaller. No program is worth compiling for it: its last prompt is answered more
        // than once.
        if let Some(last) = batch.last().cloned() {
            batch.resize(rows, last);
        }
        (group.to_vec(), batch)
    };
    longest_first(&lengths).chunks(rows).map(batch).collect()
}
