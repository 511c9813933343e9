//! How good a model is: perplexity over documents, and answers to questions that have a right one.

mod answers;
mod grade;
mod perplexity;
mod windows;

pub use answers::{answers, prepare_answers};
pub use grade::{Tally, is_correct, normalized};
pub use perplexity::{Likelihood, default_rows, likelihood, prepare_likelihood};
pub use windows::{DEFAULT_CONTEXT, Window, Windowing, WindowingError};

use std::cmp::Reverse;

/// Indices of sequences of these lengths, the longest first, so that the sequences of a batch are of similar
/// length and little of it is padding. What does not fit into memory fails at once, and not after hours.
fn longest_first(lengths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| Reverse(lengths.get(index).copied()));
    order
}
