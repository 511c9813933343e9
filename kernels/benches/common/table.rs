//! The table that is kept.

use std::fmt::Write;
use std::path::Path;

use lapidary_kernels::{Features, Instructions};

use super::options::stop;

/// Ratios, in the rows and columns of a table.
pub struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
}

/// `1 row`, `8 rows`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

impl Table {
    /// The first column names what the rows are.
    pub fn new(first: &str, columns: impl IntoIterator<Item = String>) -> Self {
        Self { columns: std::iter::once(first.to_string()).chain(columns).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, name: String, ratios: Vec<Option<f64>>) {
        self.rows.push((name, ratios));
    }

    /// The table in Markdown, below a line about the machine.
    fn text(&self, machine: &str) -> String {
        let mut text = format!("{machine}\n\n| {} |\n|---|", self.columns.join(" | "));
        text.push_str(&"---:|".repeat(self.columns.len() - 1));
        for (name, ratios) in &self.rows {
            let _ = write!(text, "\n| {name} |");
            for ratio in ratios {
                let _ = match ratio {
                    Some(ratio) => write!(text, " {ratio:.2} |"),
                    None => write!(text, " - |"),
                };
            }
        }
        text
    }

    /// Puts the table of a kernel between the lines `<!-- kernel instructions:begin -->` and `<!-- kernel instructions:end -->`
    /// of a document, by the best instructions of this processor: `linear amx_bf16`.
    pub fn splice(&self, machine: &str, document: &Path, kernel: &str) {
        let (path, features) = (document.display(), Features::detect());
        let best = Instructions::ALL.iter().rev().find(|each| features.has(**each));
        let name = format!("{kernel} {}", best.map_or("portable", |best| best.name()));
        let text =
            std::fs::read_to_string(document).unwrap_or_else(|error| stop(&format!("{path}: {error}")));
        let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
        let parts = text.split_once(&begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(&end)?;
            Some((before, after))
        });
        let Some((before, after)) = parts else {
            stop(&format!("{path} needs the lines {begin} and {end}, in this order"))
        };
        let whole = format!("{before}{begin}\n{}\n{end}{after}", self.text(machine));
        std::fs::write(document, whole).unwrap_or_else(|error| stop(&format!("{path}: {error}")));
    }
}
