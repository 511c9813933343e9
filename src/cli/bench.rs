//! `lapidary bench`.

use std::num::NonZeroUsize;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Args, ValueEnum};
use lapidary::bench::{
    self, CompiledProgram, Compiling, Measurement, Probes, Repetitions, Report, Setting, Suite, Test,
};
use lapidary::model::Model;
use lapidary::models::config::GemmaConfig;

use super::args::{DeviceArgs, ModelArgs, at_least_one, whole};
use super::exit::Interrupted;
use super::session::{self, Session};
use super::ui::Ui;
use super::{bundle, interrupt, output};

mod random_model;

/// Arguments of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary bench --synth gemma2-2b --layers 4
  lapidary bench --model ~/models/gemma-2-2b-it --pp 128,512 --tg 32 --depth 0,1024
  lapidary bench --synth gemma2-2b --pp 0 --tg 32 --batch 1,4,8 --output csv > decode.csv

Each length is measured at each depth and batch size. Lists are separated by commas.")]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Measure a model of random weights instead: gemma-2b, gemma-7b, gemma2-2b, gemma2-9b, gemma2-27b, tiny. They
    /// are written to the cache directory, and deleted once they are mapped.
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    synth: Option<String>,

    /// Decoder layers of the random model, instead of the config's.
    #[arg(long, value_name = "N", requires = "synth", conflicts_with = "model")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    layers: Option<usize>,

    /// Tokens of prompts to read; 0 for none.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "512")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    pp: Vec<usize>,

    /// Tokens to generate; 0 for none.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "32")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    tg: Vec<usize>,

    /// Tokens that the cache holds before.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "0")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    depth: Vec<usize>,

    /// Sequences that run at the same time.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    batch: Vec<usize>,

    /// Times that each test is measured.
    #[arg(long, short, value_name = "N", default_value = "3", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    repetitions: NonZeroUsize,

    /// Times that each test is run before; a generation then makes one token.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<usize>)]
    #[arg(allow_negative_numbers = true)]
    warmup: usize,

    /// How to print the results.
    #[arg(long, short, value_enum, default_value_t = OutputArg::Md)]
    output: OutputArg,

    #[command(flatten)]
    device: DeviceArgs,
}

/// `--output`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum OutputArg {
    /// Tables in Markdown.
    Md,
    /// Comma-separated values: a line for each test, with everything known of it.
    Csv,
    /// One object.
    Json,
}

/// Measures a model. Ctrl-C ends the measuring; what is finished is printed.
///
/// # Errors
/// If there is nothing to measure, the model cannot take it, there is no room for it, or the device fails.
pub fn run(args: BenchArgs, ui: &Ui) -> Result<()> {
    let unix_time_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let subject = Subject::of(&args, ui)?;
    let tests = args.suite().tests(subject.config())?;
    // Refused before gigabytes are written.
    let bundle = bundle::open(subject.config(), &args.model, &args.device)?;
    bundle::mesh_plan(bundle.as_ref(), &args.device)?;
    if let Some(bundle) = bundle {
        tests.iter().try_for_each(|test| bundle.check_rows(test.batch))?;
        tests.iter().try_for_each(|test| bundle.check_context(test.positions()))?;
    }

    let (name, model) = subject.open(&args, ui)?;
    let session = Session::start(model, &args.model, &args.device, ui)?;
    let setting = setting(name, &session, unix_time_s);
    let report = measure(&session, setting, &tests, args.repetitions(), ui)?;
    if !report.tests.is_empty() {
        match args.output {
            OutputArg::Md => output::text(&report.markdown())?,
            OutputArg::Csv => output::text(&report.csv())?,
            OutputArg::Json => output::json(&report)?,
        }
    }
    if report.complete { Ok(()) } else { Err(Interrupted.into()) }
}

impl BenchArgs {
    fn suite(&self) -> Suite {
        Suite {
            prompts: self.pp.clone(),
            generations: self.tg.clone(),
            depths: self.depth.clone(),
            batches: self.batch.clone(),
        }
    }

    fn repetitions(&self) -> Repetitions {
        Repetitions { timed: self.repetitions.get(), warmup: self.warmup }
    }
}

/// What is to be measured, before gigabytes are written for it.
enum Subject {
    Existing(Box<Model>),
    Random { name: String, config: Box<GemmaConfig> },
}

impl Subject {
    fn of(args: &BenchArgs, ui: &Ui) -> Result<Self> {
        let Some(name) = &args.synth else {
            return Ok(Self::Existing(Box::new(session::open_model(&args.model, ui)?)));
        };
        let config = GemmaConfig::named(name)?;
        let layers = args.layers.unwrap_or(config.num_layers);
        Ok(Self::Random { name: name.clone(), config: Box::new(config.with_layers(layers)?) })
    }

    fn config(&self) -> &GemmaConfig {
        match self {
            Self::Existing(model) => model.checkpoint().config(),
            Self::Random { config, .. } => config,
        }
    }

    /// The model, and what to call it.
    fn open(self, args: &BenchArgs, ui: &Ui) -> Result<(String, Model)> {
        match self {
            Self::Existing(model) => Ok((model.path().display().to_string(), *model)),
            Self::Random { name, config } => {
                let model = random_model::make(&config, args.model.dtype, ui)?;
                Ok((format!("{name}, {} layers of random weights", config.num_layers), model))
            }
        }
    }
}

fn setting(model: String, session: &Session, unix_time_s: u64) -> Setting {
    let engine = &session.engine;
    let client = engine.placement().client();
    Setting {
        model,
        parameters: engine.config().parameter_count(),
        weight_bytes: engine.load_stats().iter().map(|device| device.bytes).sum(),
        dtype: engine.dtype().to_string(),
        device: engine.placement().to_string(),
        threads: Probes::new().threads(),
        lapidary_version: env!("CARGO_PKG_VERSION").to_owned(),
        plugin_version: session
            .plugin_version
            .clone()
            .unwrap_or_else(|| client.platform_version().to_owned()),
        pjrt_api_version: client.plugin().api_version().to_string(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        unix_time_s,
    }
}

/// Runs the tests, as many as Ctrl-C leaves time for, between two measurements of what the devices can do.
fn measure(
    session: &Session,
    setting: Setting,
    tests: &[Test],
    repetitions: Repetitions,
    ui: &Ui,
) -> Result<Report> {
    let engine = &session.engine;
    let _catch = interrupt::catch();
    let spinner = ui.spinner("the first token".to_owned());
    let start = bench::start(engine, session.plugin_s, session.load_s);
    spinner.finish_and_clear();
    session.tell_compilations(ui);
    let start = start?;
    let peak_memory_bytes = bench::peak_memory();

    let mut probes = Probes::new();
    let mut probe = |when: &str| {
        let spinner = ui.spinner(format!("what the device can do, {when} the tests"));
        let done = probes.run(engine.placement(), engine.dtype());
        spinner.finish_and_clear();
        done.map(|()| probes.peaks())
    };
    let mut report = Report {
        setting,
        repetitions,
        start,
        peaks: probe("before")?,
        compiling: Compiling::so_far(engine),
        programs: Vec::new(),
        peak_memory_bytes,
        complete: false,
        tests: Vec::new(),
    };
    for (number, test) in tests.iter().enumerate() {
        let spinner = ui.spinner(format!("{test} ({} of {})", number + 1, tests.len()));
        let measured = bench::measure(engine, test, repetitions, &mut interrupt::poll);
        spinner.finish_and_clear();
        session.tell_compilations(ui);
        let Some(measurement) = measured? else { break };
        ui.remark(format_args!("{test}: {:.2} tokens/s", measurement.tokens_per_s.mean));
        report.tests.push(measurement);
    }
    report.complete = report.tests.len() == tests.len();
    if report.complete {
        report.peaks = probe("after")?;
    }
    report.relate();
    report.compiling = Compiling::so_far(engine);
    report.programs = CompiledProgram::so_far(engine);
    let peaks = report.tests.iter().filter_map(|test: &Measurement| test.peak_memory_bytes);
    report.peak_memory_bytes = peaks.chain(report.peak_memory_bytes).max();
    Ok(report)
}
