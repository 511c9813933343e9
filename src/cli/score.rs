//! `lapidary score`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lapidary::engine::{Engine, EngineError, Score, ScoreChunk, check_sequences};
use lapidary::model::Model;
use serde_json::{Value, json};

use super::args::{DeviceArgs, ModelArgs};
use super::input::{self, Text};
use super::session::{self, Session};
use super::ui::Ui;
use super::{interrupt, output};

mod logits_file;

use logits_file::LogitsPlan;

/// Arguments of `score`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary score --model DIR --text \"The sky is blue.\"
  lapidary score --model DIR --file page.txt --json
  lapidary score --model DIR --token-ids ids.json --logits out.safetensors")]
pub struct ScoreArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,

    /// Text to score; given several times, the texts run as one batch. Default: standard input.
    #[arg(long, value_name = "TEXT", group = "source")]
    text: Vec<String>,

    /// File to score; - is standard input.
    #[arg(long, value_name = "PATH", group = "source")]
    file: Vec<PathBuf>,

    /// Sequences as token ids: a JSON array of ids, or of arrays.
    #[arg(long, value_name = "FILE", group = "source")]
    token_ids: Option<PathBuf>,

    /// Write the logits of every position: `logits` [tokens, vocab] f32 (`logits.0`, `logits.1`, ... for several
    /// sequences).
    #[arg(long, value_name = "OUT.safetensors")]
    logits: Option<PathBuf>,

    /// Print {"sequences": [{"tokens", "nll", "mean_nll", "perplexity"}]}.
    #[arg(long)]
    json: bool,
}

/// Prints the negative log-likelihood of each token but the first, their mean, and the perplexity.
///
/// # Errors
/// If the model, device or texts are unusable.
pub fn run(args: ScoreArgs, ui: &Ui) -> Result<()> {
    let model = session::open_model(&args.model, ui)?;
    model.begin_reading_tokenizer();
    let sequences = sequences(&args, &model)?;
    let config = model.checkpoint().config();
    check_sequences(config, &sequences)?;
    if let Some(bundle) = args.device.bundle.read()? {
        bundle.check_sequences(&sequences)?;
    }
    let plan = |path| LogitsPlan::new(path, model.path(), &sequences, config.live_vocab_size());
    let logits_plan = args.logits.as_deref().map(plan).transpose()?;
    let longest = sequences.iter().map(Vec::len).max().unwrap_or_default();
    let prepare = |engine: &Engine| engine.prepare_score(sequences.len(), longest, logits_plan.is_some());
    let session = Session::connect(model, &args.model, &args.device, ui)?.load(ui, prepare)?.for_good();
    let spinner = ui.spinner(format!("scoring {} tokens", sequences.iter().map(Vec::len).sum::<usize>()));
    let scores = match logits_plan {
        None => session.engine.score(&sequences, None).map_err(|error| session.explain(error)),
        Some(plan) => score_to_file(session, &sequences, plan),
    };
    spinner.finish_and_clear();
    session.tell_compilations(ui);
    let scores = scores?;
    if args.json {
        return output::json(&json!({ "sequences": scores.iter().map(report).collect::<Vec<_>>() }));
    }
    scores.iter().try_for_each(|score| print(score, &session.model))
}

/// Scores and stores the logits. Ctrl-C is caught, so that it leaves no half-written file.
fn score_to_file(session: &Session, sequences: &[Vec<u32>], plan: LogitsPlan) -> Result<Vec<Score>> {
    let _catch = interrupt::catch();
    let mut file = plan.create()?;
    let mut failed = None;
    let mut write = |chunk: ScoreChunk<'_>| {
        failed = file.write(&chunk).err();
        if failed.is_some() || interrupt::requested() { Err(EngineError::Cancelled) } else { Ok(()) }
    };
    let scores = session.engine.score(sequences, Some(&mut write));
    if let Some(error) = failed {
        return Err(error);
    }
    let scores = scores.map_err(|error| session.explain(error))?;
    file.finish()?;
    Ok(scores)
}

/// The token ids of what is to be scored. Only a text waits for the tokenizer.
fn sequences(args: &ScoreArgs, model: &Model) -> Result<Vec<Vec<u32>>> {
    if let Some(path) = &args.token_ids {
        return input::token_ids(path);
    }
    let texts = if !args.text.is_empty() {
        Text::of_flag("--text", &args.text)?
    } else if !args.file.is_empty() {
        args.file.iter().map(|path| Text::of_file(path)).collect::<Result<_>>()?
    } else {
        vec![Text::piped("--text, --file or --token-ids")?]
    };
    let tokenizer = input::tokenizer(model)?;
    texts.iter().map(|text| text.encode(tokenizer)).collect()
}

fn report(score: &Score) -> Value {
    json!({
        "tokens": score.tokens,
        "nll": score.nll,
        "mean_nll": score.mean_nll(),
        "perplexity": score.perplexity(),
    })
}

fn print(score: &Score, model: &Model) -> Result<()> {
    let piece = |id: u32| {
        let piece = model.tokenizer_if_any().and_then(|tokenizer| tokenizer.piece(id));
        piece.unwrap_or_default().escape_debug().to_string()
    };
    output::line("position\ttoken\tnll\tpiece")?;
    for (index, &token) in score.tokens.iter().enumerate() {
        let nll = index.checked_sub(1).and_then(|i| score.nll.get(i));
        let nll = nll.map_or_else(|| "-".to_string(), |nll| format!("{nll:.4}"));
        output::line(format_args!("{index}\t{token}\t{nll}\t{}", piece(token)))?;
    }
    match (score.mean_nll(), score.perplexity()) {
        (Some(mean), Some(perplexity)) => {
            let n = score.nll.len();
            let tokens = if n == 1 { "token" } else { "tokens" };
            Ok(output::line(format_args!(
                "mean nll {mean:.4} over {n} {tokens}, perplexity {perplexity:.3}"
            ))?)
        }
        _ => Ok(output::line("one token: nothing to predict")?),
    }
}
