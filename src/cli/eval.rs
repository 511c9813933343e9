//! `lapidary eval`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lapidary::eval::default_rows;
use lapidary::models::config::GemmaConfig;

use super::args::{DeviceArgs, ModelArgs, at_least_one, whole};
use super::ui::Ui;

mod documents;
mod jsonl;
mod perplexity;
mod questions;
mod tasks;

pub use documents::Corpus;
pub use perplexity::measure;

/// Arguments of `eval`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary eval --model DIR page.txt
  lapidary eval --model DIR articles.jsonl --context 2048 --stride 1024 --json
  lapidary eval --model DIR --token-ids ids.json
  lapidary eval --model DIR --tasks questions.jsonl --show-wrong
  lapidary eval
  lapidary eval --tasks

The last two are about the built-in model, which comes with text and questions that it was not trained on.

A .jsonl file has a document a line: {\"text\": ...}, {\"messages\": [...]} or {\"token_ids\": [...]}.
With --tasks: {\"task\": NAME, \"messages\": [...], \"answer\": ...}, and \"accept\", a list, if other answers will do.")]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,

    /// File to find the perplexity of: a .jsonl file of documents, or else a text (- is standard input). By
    /// default the built-in model's own.
    #[arg(group = "source")]
    file: Option<PathBuf>,

    /// Documents as token ids: a JSON array of ids, or of arrays.
    #[arg(long, value_name = "FILE", group = "source")]
    token_ids: Option<PathBuf>,

    /// Ask questions instead, and say how many are answered correctly. By default the built-in model's own.
    #[arg(long, value_name = "FILE.jsonl", num_args = 0..=1, group = "source")]
    tasks: Option<Option<PathBuf>>,

    /// Most tokens in a window, BOS included; by default the model's context, or 4096 if that is less.
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    #[arg(conflicts_with = "tasks")]
    context: Option<usize>,

    /// Tokens from the beginning of a window to the next; by default half the window. A token is scored with at
    /// least context - stride tokens before it, where there are as many.
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    #[arg(conflicts_with = "tasks")]
    stride: Option<usize>,

    /// Windows (or questions) to run at a time; by default 8, or fewer for a large vocabulary.
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    batch: Option<NonZeroUsize>,

    /// Stop after the first N documents (or questions).
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    limit: Option<NonZeroUsize>,

    /// Most tokens in an answer.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 64)]
    #[arg(requires = "tasks", conflicts_with_all = ["file", "token_ids"])]
    #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
    max_new_tokens: usize,

    /// Print the questions that were answered wrongly, too; so does --verbose.
    #[arg(long, requires = "tasks", conflicts_with_all = ["file", "token_ids"])]
    show_wrong: bool,

    /// Print one object: the figures, and the settings that they hold for.
    #[arg(long)]
    json: bool,
}

impl EvalArgs {
    /// The model as far as the programs of a bundle, if there is one, go, and how many sequences run at a time.
    fn limits(&self, config: &GemmaConfig) -> Result<(GemmaConfig, usize)> {
        let mut config = config.clone();
        let rows = self.batch.map_or_else(|| default_rows(&config), NonZeroUsize::get);
        let Some(bundle) = self.device.bundle.read()? else { return Ok((config, rows)) };
        if let Some(context) = self.context {
            bundle.check_context(context)?;
        }
        config.context = config.context.min(bundle.context());
        match self.batch {
            Some(_) => bundle.check_rows(rows)?,
            None => return Ok((config, bundle.max_rows())),
        }
        Ok((config, rows))
    }
}

/// Prints a model's perplexity on documents, or how many questions it answers correctly.
///
/// # Errors
/// If the model, the device or the file is unusable.
pub fn run(args: EvalArgs, ui: &Ui) -> Result<()> {
    match &args.tasks {
        Some(file) => tasks::run(&args, file.as_deref(), ui),
        None => perplexity::run(&args, ui),
    }
}
