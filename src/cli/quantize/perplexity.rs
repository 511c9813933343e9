//! `--eval`: perplexity before and after.

use std::path::Path;

use anyhow::{Context, Result};
use lapidary::eval::{Likelihood, Windowing, default_rows};
use lapidary::model::Model;

use super::QuantizeArgs;
use crate::cli::eval::{Corpus, measure};
use crate::cli::session;
use crate::cli::ui::Ui;

/// A text, and how likely the model finds it as it was.
pub(super) struct Comparison {
    corpus: Corpus,
    before: Likelihood,
}

/// How likely the model finds the text before and after.
pub(super) struct Perplexity {
    pub(super) source: String,
    pub(super) before: Likelihood,
    pub(super) after: Likelihood,
}

impl Comparison {
    /// Evaluates the model as it is.
    pub(super) fn begin(file: &Path, args: &QuantizeArgs, ui: &Ui) -> Result<Self> {
        // What is to be opened afterwards is called by a text, as models are.
        args.out.to_str().context("--eval needs a directory (--out) whose name is UTF-8")?;
        let model = match &args.model.model {
            Some(name) => Model::open(name)?,
            None => Model::builtin()?,
        };
        let corpus = Corpus::open(file, &model, None)?;
        let before = likelihood(model, &corpus, args, ui)?;
        Ok(Self { corpus, before })
    }

    /// Evaluates what was written.
    pub(super) fn finish(self, args: &QuantizeArgs, ui: &Ui) -> Result<Perplexity> {
        let model = Model::open(&args.out.to_string_lossy())?;
        let after = likelihood(model, &self.corpus, args, ui)?;
        Ok(Perplexity { source: self.corpus.source, before: self.before, after })
    }
}

fn likelihood(model: Model, corpus: &Corpus, args: &QuantizeArgs, ui: &Ui) -> Result<Likelihood> {
    let windowing = Windowing::new(model.checkpoint().config(), None, None)?;
    let rows = default_rows(model.checkpoint().config());
    let session = session::Session::start(model, &args.model, &args.device, ui)?;
    measure(&session, corpus, windowing, rows, ui)
}

impl Perplexity {
    /// How many times the perplexity is what it was.
    pub(super) fn ratio(&self) -> f64 {
        self.after.perplexity() / self.before.perplexity()
    }
}
