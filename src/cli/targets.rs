//! `lapidary targets`.

use anyhow::Result;
use clap::Args;
use indicatif::BinaryBytes;
use lapidary::target::{CatalogueEntry, catalogue};

use super::output;
use super::table::Table;

/// Arguments of `targets`.
#[derive(Args, Debug)]
#[command(after_help = "A target is written as its platform, its chip, and how many:
  cpu                         any machine, as many devices as the mesh has
  tpu:v5p:2x2x1               four chips of one host; v5p:16x16x24 is 6144 chips
  tpu:v4:2x2x1,chip_config_name=default   each core a device; a v4 chip is one device unless so asked
  tpu:v5p:4x4x4,num_slices=2  two slices
  cuda:h100:4                 four GPUs of one machine")]
pub struct TargetsArgs {
    /// Print a list with the facts as plain numbers: bytes, flop/s, bytes/s.
    #[arg(long)]
    json: bool,
}

/// Lists the targets.
///
/// # Errors
/// If standard output is closed.
pub fn run(args: TargetsArgs) -> Result<()> {
    if args.json {
        return output::json(&catalogue());
    }
    let mut table = Table::new(&[
        "TARGET",
        "CHIPS",
        "DEVICES/CHIP",
        "MEMORY",
        "BF16",
        "BANDWIDTH",
        "INTERCONNECT",
        "SOURCE",
    ]);
    for entry in catalogue() {
        table.row(cells(&entry));
    }
    Ok(output::line(table.to_string().trim_end())?)
}

fn cells(entry: &CatalogueEntry) -> Vec<String> {
    let count = |count: Option<usize>| count.map_or_else(unknown, |count| count.to_string());
    let links = entry.links.zip(entry.link_bandwidth).zip(entry.interconnect);
    vec![
        entry.example.clone(),
        entry.max_chips.map_or_else(unknown, |most| format!("to {most}")),
        count(entry.devices_per_chip),
        entry.memory_bytes.map_or_else(unknown, |bytes| BinaryBytes(bytes).to_string()),
        entry.bf16_flops.map_or_else(unknown, |rate| format!("{:.0} Tflop/s", rate / 1e12)),
        entry.memory_bandwidth.map_or_else(unknown, |rate| format!("{:.0} GB/s", rate / 1e9)),
        links
            .map_or_else(unknown, |((links, rate), name)| format!("{name} {links} x {:.0} GB/s", rate / 1e9)),
        entry.source.to_string(),
    ]
}

fn unknown() -> String {
    "-".to_string()
}
