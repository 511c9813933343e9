//! `lapidary tokenize`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::args::ModelArgs;
use super::ui::Ui;
use super::{input, output, session};

/// Arguments of `tokenize`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary tokenize --model DIR --text \"Hello\"
  lapidary tokenize --model DIR --chat messages.json --json
  echo Hello | lapidary tokenize --model DIR")]
pub struct TokenizeArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Text to tokenize.
    #[arg(long, group = "source")]
    text: Option<String>,

    /// File to tokenize; - is standard input, which is also the default.
    #[arg(long, value_name = "PATH", group = "source")]
    file: Option<PathBuf>,

    /// Conversation to tokenize as the model's chat template has it: JSON, [{"role": ..., "content": ...}, ...].
    #[arg(long, value_name = "MESSAGES.json", group = "source")]
    chat: Option<PathBuf>,

    /// Print {"token_ids": [...]} instead of a line an id.
    #[arg(long)]
    json: bool,
}

/// Prints token ids exactly as the model would be fed.
///
/// # Errors
/// If there is no tokenizer, or nothing to tokenize.
pub fn run(args: TokenizeArgs, ui: &Ui) -> Result<()> {
    let model = session::open_model(&args.model, ui)?;
    let tokenizer = input::tokenizer(&model)?;
    let ids = match (&args.text, &args.file, &args.chat) {
        (Some(text), _, _) => tokenizer.encode(text)?,
        (_, Some(file), _) => tokenizer.encode(&input::read_text(file)?)?,
        (_, _, Some(chat)) => input::Conversation::of_file(chat)?.encode(&model, tokenizer)?,
        (None, None, None) => tokenizer.encode(&input::piped_text("--text, --file or --chat")?)?,
    };
    if args.json {
        return output::json(&json!({ "token_ids": ids }));
    }
    for id in ids {
        output::line(format_args!("{id}\t{}", tokenizer.piece(id).unwrap_or_default().escape_debug()))?;
    }
    Ok(())
}
