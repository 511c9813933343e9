//! Draws what decoding, compiling and memory cost against context, batch and layers, from the measurements of
//! `benches/curves/run.py`:
//!
//! ```sh
//! cargo run --example cost_curves -- results.json docs/curves
//! ```
//!
//! It writes one SVG a figure, and prints the figures that the pictures are drawn from as Markdown tables.

mod axis;
mod chart;
mod figures;
mod results;

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use results::Results;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [results, directory] = &arguments[..] else {
        bail!("usage: cost_curves RESULTS.json DIRECTORY");
    };
    let results = Results::read(results)?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for figure in figures::all(&results) {
        let path = directory.join(figure.name).with_extension("svg");
        fs::write(&path, figure.svg()).with_context(|| format!("cannot write {}", path.display()))?;
        print!("{}", figure.markdown());
    }
    Ok(())
}
