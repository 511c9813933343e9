//! What `quantize` prints.

use std::path::Path;

use anyhow::Result;
use indicatif::BinaryBytes;
use lapidary::models::encoding::Encoding;
use lapidary::models::quantize::{Errors, QuantizeReport, QuantizedTensor};
use serde_json::{Value, json};

use super::perplexity::Perplexity;
use crate::cli::output;
use crate::cli::table::Table;

/// All that is told of a run.
pub(super) struct Report<'a> {
    pub(super) path: &'a Path,
    pub(super) written: QuantizeReport,
    pub(super) seconds: f64,
    pub(super) perplexity: Option<Perplexity>,
}

/// One tensor, or several of a kind and encoding.
struct Line {
    name: String,
    encoding: Encoding,
    tensors: usize,
    before: u64,
    after: u64,
    errors: Errors,
}

impl Line {
    fn of(name: &str, tensor: &QuantizedTensor) -> Self {
        Self {
            name: name.to_owned(),
            encoding: tensor.encoding,
            tensors: 1,
            before: tensor.bytes_before,
            after: tensor.bytes_after,
            errors: tensor.errors,
        }
    }

    fn add(&mut self, other: &Self) {
        self.tensors += other.tensors;
        self.before += other.before;
        self.after += other.after;
        self.errors = self.errors.with(other.errors);
    }

    fn bits_per_weight(&self) -> f64 {
        8.0 * self.after as f64 / self.errors.count.max(1) as f64
    }

    fn cells(&self) -> Vec<String> {
        let errors = self.errors;
        let is_dense = self.encoding == Encoding::Dense;
        let unless_dense = |text: String| if is_dense { "-".to_owned() } else { text };
        vec![
            self.name.clone(),
            self.encoding.to_string(),
            self.tensors.to_string(),
            BinaryBytes(self.before).to_string(),
            BinaryBytes(self.after).to_string(),
            format!("{:.2}", self.bits_per_weight()),
            unless_dense(format!("{:.3}%", 100.0 * errors.rms())),
            unless_dense(format!("{:.3}", errors.max())),
            unless_dense(errors.snr_db().map_or_else(|| "-".to_owned(), |snr| format!("{snr:.1}"))),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "encoding": self.encoding.to_string(),
            "tensors": self.tensors,
            "weights": self.errors.count,
            "bytes_before": self.before,
            "bytes_after": self.after,
            "bits_per_weight": self.bits_per_weight(),
            "rms_error": self.errors.rms(),
            "max_error": self.errors.max(),
            "snr_db": self.errors.snr_db(),
        })
    }
}

impl Report<'_> {
    fn tensors(&self) -> Vec<Line> {
        self.written.tensors.iter().map(|tensor| Line::of(&tensor.name, tensor)).collect()
    }

    /// Kinds in the order a forward pass meets them first, each of its encodings by itself.
    fn kinds(&self) -> Vec<Line> {
        let mut kinds: Vec<Line> = Vec::new();
        for tensor in &self.written.tensors {
            let line = Line::of(tensor.kind, tensor);
            match kinds.iter_mut().find(|kind| kind.name == line.name && kind.encoding == line.encoding) {
                Some(kind) => kind.add(&line),
                None => kinds.push(line),
            }
        }
        kinds
    }

    fn bytes(&self) -> (u64, u64) {
        let tensors = &self.written.tensors;
        let sum = |bytes: fn(&QuantizedTensor) -> u64| tensors.iter().map(bytes).sum();
        (sum(|tensor| tensor.bytes_before), sum(|tensor| tensor.bytes_after))
    }

    /// A line a kind, or a tensor if `verbose`, and what came of it all.
    pub(super) fn print(&self, verbose: bool) -> Result<()> {
        let mut table = Table::new(&[
            "weight",
            "stored as",
            "tensors",
            "before",
            "after",
            "bits",
            "rms error",
            "max error",
            "snr dB",
        ]);
        let lines = if verbose { self.tensors() } else { self.kinds() };
        lines.iter().for_each(|line| table.row(line.cells()));
        output::text(&table.to_string())?;

        let ((before, after), shards) = (self.bytes(), self.written.shards);
        let rate = (before as f64 / self.seconds.max(1e-9)) as u64;
        output::line(format_args!(
            "{}: {} of {} in {shards} file{}, {:.1}%; {:.1} s, {}/s",
            self.path.display(),
            BinaryBytes(after),
            BinaryBytes(before),
            if shards == 1 { "" } else { "s" },
            100.0 * after as f64 / before as f64,
            self.seconds,
            BinaryBytes(rate),
        ))?;
        if let Some(perplexity) = &self.perplexity {
            let Perplexity { source, before, after } = perplexity;
            output::line(format_args!(
                "perplexity of {source}: {:.4} before, {:.4} after, {:+.2}%",
                before.perplexity(),
                after.perplexity(),
                100.0 * (perplexity.ratio() - 1.0),
            ))?;
        }
        Ok(())
    }

    /// One object.
    pub(super) fn print_json(&self) -> Result<()> {
        let (before, after) = self.bytes();
        let perplexity = self.perplexity.as_ref().map(|perplexity| {
            json!({
                "source": perplexity.source,
                "tokens": perplexity.before.tokens,
                "before": perplexity.before.perplexity(),
                "after": perplexity.after.perplexity(),
                "ratio": perplexity.ratio(),
            })
        });
        output::json(&json!({
            "path": self.path.display().to_string(),
            "bytes_before": before,
            "bytes_after": after,
            "shards": self.written.shards,
            "seconds": self.seconds,
            "kinds": self.kinds().iter().map(Line::json).collect::<Vec<_>>(),
            "tensors": self.tensors().iter().map(Line::json).collect::<Vec<_>>(),
            "perplexity": perplexity,
        }))
    }
}
