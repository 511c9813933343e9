//! Prints what an optimized program costs, as JSON:
//!
//! ```sh
//! cargo run -p lapidary-hlo --example print_report -- program.hlo.txt
//! cargo run -p lapidary-hlo --example print_report -- program.hlo.pb
//! ```

use std::error::Error;

use lapidary_hlo::{Module, Report, ReportOptions};

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let module = Module::from_bytes(&bytes)?;
        println!("{}", serde_json::to_string_pretty(&Report::of(&module, &ReportOptions::default()))?);
    }
    Ok(())
}
