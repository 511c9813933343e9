//! Gemma at full size through the compilers of TPUs and GPUs that need not be here, and whether what they make of it is
//! as good as it is to be.
//!
//! `cargo bench --bench full_size_compiles` compiles everything in [`cases`], which takes an hour of a small machine
//! and some GB of memory. `-- --only TEXT` takes the cases with that in their names, `--rounds N` compiles each N times
//! and takes the least, `--keep DIR` keeps the bundles. It prints a table and writes the same as JSON to
//! `full_size_compiles.json` in the folder of build outputs. Exit code 1 says that a bar was missed.
//!
//! `-- --programs TARGET` compiles every program of every model for one device instead, in batches of 1, 8 and 32
//! sequences, and prints a table of them. Each is added to a file as soon as it is there, and taken from it the next
//! time: `--record FILE`, or `full_size_programs.jsonl` in the folder of build outputs.

mod cases;
mod measure;
mod programs;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use cases::GROUPS;
use measure::Measured;

struct Options {
    only: Option<String>,
    rounds: usize,
    keep: Option<PathBuf>,
    programs: Option<String>,
    record: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { only: None, rounds: 1, keep: None, programs: None, record: None };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            // Cargo says it.
            "--bench" => {}
            "--only" => options.only = Some(value()?),
            "--keep" => options.keep = Some(value()?.into()),
            "--programs" => options.programs = Some(value()?),
            "--record" => options.record = Some(value()?.into()),
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|&rounds| rounds > 0);
                options.rounds = rounds.ok_or("--rounds needs a number from 1")?;
            }
            other => {
                return Err(format!(
                    "unknown option `{other}`: there are --only, --rounds, --keep, --programs and --record"
                ));
            }
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let directory = options.keep.as_deref().unwrap_or(scratch.path());
    if let Some(target) = &options.programs {
        let record = options.record.clone().unwrap_or_else(|| beside_builds("full_size_programs.jsonl"));
        println!("{}", programs::run(target, options.only.as_deref(), directory, &record)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut measured: Vec<Measured> = Vec::new();
    for group in GROUPS {
        let wanted = |case: &&cases::Case| {
            options.only.as_ref().is_none_or(|only| case.name().contains(only.as_str()))
        };
        let group: Vec<_> = group.iter().filter(wanted).collect();
        let first = measured.len();
        for round in 0..options.rounds {
            for (index, case) in group.iter().enumerate() {
                eprintln!("{} ({} of {})", case.name(), round + 1, options.rounds);
                let found = measure::measure(case, &directory.join(case.name()))?;
                match measured.get_mut(first + index) {
                    Some(best) => best.take_better(found),
                    None => measured.push(found),
                }
            }
        }
        let (base, others) = match measured.get_mut(first..) {
            Some([base, others @ ..]) => (base, others),
            Some([]) | None => continue,
        };
        others.iter_mut().for_each(|other| other.compare_with(base));
    }
    println!("{}", table::markdown(&measured));
    let json = serde_json::to_string_pretty(&measured).map_err(|error| error.to_string())?;
    let file = beside_builds("full_size_compiles.json");
    std::fs::write(&file, json).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    eprintln!("the figures are in {}", file.display());
    let missed: Vec<String> = measured.iter().flat_map(Measured::missed).collect();
    for bar in &missed {
        eprintln!("missed: {bar}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A file in the folder of build outputs.
fn beside_builds(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}
