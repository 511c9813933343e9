//! `lapidary eval` without `--tasks`: perplexity.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, bail};
use lapidary::engine::Engine;
use lapidary::eval::{Likelihood, Windowing, likelihood, prepare_likelihood};
use lapidary::model::Model;
use lapidary::models::builtin;
use lapidary::models::progress::Progress;
use serde_json::{Value, json};

use super::EvalArgs;
use super::documents::Corpus;
use crate::cli::output;
use crate::cli::session::{self, Session};
use crate::cli::ui::Ui;

/// Prints the perplexity of what the arguments name.
pub(super) fn run(args: &EvalArgs, ui: &Ui) -> Result<()> {
    let model = session::open_model(&args.model, ui)?;
    let (config, rows) = args.limits(model.checkpoint().config())?;
    let windowing = Windowing::new(&config, args.context, args.stride)?;
    let corpus = corpus(args, &model, ui)?;
    let prepare = |engine: &Engine| prepare_likelihood(engine, &corpus.documents, windowing, rows);
    let session = Session::connect(model, &args.model, &args.device, ui)?.load(ui, prepare)?.for_good();

    let (started, compiled) = (Instant::now(), session.engine.compile_time());
    let likelihood = measure(session, &corpus, windowing, rows, ui)?;
    let running = started.elapsed().saturating_sub(session.engine.compile_time() - compiled);
    let found = Found { corpus, likelihood, seconds: running.as_secs_f64() };

    if args.json {
        let settings = json!({
            "model": session.model.path().display().to_string(),
            "dtype": session.engine.dtype().to_string(),
            "source": found.corpus.source,
            "context": windowing.context(),
            "stride": windowing.stride(),
            "batch": rows,
            "limit": args.limit,
        });
        return output::json(&found.report(settings));
    }
    Ok(output::line(found.table())?)
}

/// The likelihood of documents, with progress.
///
/// # Errors
/// As [`likelihood`]; where the device ran out of memory, with what fits.
pub fn measure(
    session: &Session,
    corpus: &Corpus,
    windowing: Windowing,
    rows: usize,
    ui: &Ui,
) -> Result<Likelihood> {
    let tokens: usize = corpus.documents.iter().map(|document| document.as_ref().len()).sum();
    let bar = ui.count("scoring", "tokens", tokens as u64);
    let mut show = |progress: Progress| -> ControlFlow<()> {
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    };
    let likelihood = likelihood(&session.engine, &corpus.documents, windowing, rows, &mut show);
    bar.finish_and_clear();
    session.tell_compilations(ui);
    likelihood.map_err(|error| session.explain(error))
}

fn corpus(args: &EvalArgs, model: &Model, ui: &Ui) -> Result<Corpus> {
    let limit = args.limit.map(NonZeroUsize::get);
    match (&args.file, &args.token_ids) {
        (Some(path), _) => Corpus::open(path, model, limit),
        (None, Some(path)) => Corpus::of_token_ids(path, model, limit),
        (None, None) if model.is_builtin() => {
            ui.note(format_args!("text: documents that {} was not trained on", builtin::NAME));
            Corpus::of_lines(format!("{}/heldout.jsonl", builtin::NAME), builtin::HELDOUT, model, limit)
        }
        (None, None) => bail!(
            "nothing to evaluate on; give a .txt or .jsonl file (- is standard input), --token-ids FILE, or \
             --tasks FILE"
        ),
    }
}

/// What came of it.
struct Found {
    corpus: Corpus,
    likelihood: Likelihood,
    /// Compilation excluded.
    seconds: f64,
}

impl Found {
    fn bits_per_byte(&self) -> Option<f64> {
        Some(self.likelihood.bits_per_byte(self.corpus.bytes()?))
    }

    fn tokens_per_s(&self) -> f64 {
        self.likelihood.tokens as f64 / self.seconds.max(1e-9)
    }

    fn report(&self, settings: Value) -> Value {
        let Likelihood { windows, tokens, mean_nll, mean_nll_stderr } = self.likelihood;
        json!({
            "documents": self.corpus.documents.len(),
            "windows": windows,
            "tokens": tokens,
            "bytes": self.corpus.bytes(),
            "mean_nll": mean_nll,
            "mean_nll_stderr": mean_nll_stderr,
            "perplexity": self.likelihood.perplexity(),
            "bits_per_byte": self.bits_per_byte(),
            "seconds": self.seconds,
            "tokens_per_s": self.tokens_per_s(),
            "settings": settings,
        })
    }

    fn table(&self) -> String {
        let Likelihood { windows, tokens, mean_nll, mean_nll_stderr } = self.likelihood;
        let stderr = mean_nll_stderr.map(|stderr| format!(" ± {stderr:.4}")).unwrap_or_default();
        let bits = self.bits_per_byte().map(|bits| format!("{bits:.4}"));
        let rows = [
            ("documents", Some(self.corpus.documents.len().to_string())),
            ("windows", Some(windows.to_string())),
            ("tokens", Some(tokens.to_string())),
            ("mean nll", Some(format!("{mean_nll:.4}{stderr}"))),
            ("perplexity", Some(format!("{:.4}", self.likelihood.perplexity()))),
            ("bits per byte", bits),
            ("tokens/s", Some(format!("{:.1}", self.tokens_per_s()))),
        ];
        let rows = rows.iter().filter_map(|(name, value)| Some(format!("{name:13}  {}", value.as_ref()?)));
        rows.collect::<Vec<_>>().join("\n")
    }
}
