//! `lapidary bench`.

use std::num::NonZeroUsize;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lapidary::bench::{
    self, BenchError, CompiledProgram, Compiling, Measurement, Probes, Repetitions, Report, Setting, Suite,
    Test,
};
use lapidary::model::Model;
use lapidary::models::config::GemmaConfig;
use lapidary::models::encoding::{Encodings, WeightScheme};
use lapidary::models::program::KvCache;
use lapidary::runtime::plugins::PluginKind;
use serde::Serialize;

use super::args::{DeviceArgs, ModelArgs, at_least_one, steps_per_dispatch, whole};
use super::exit::Interrupted;
use super::mesh::MeshPlan;
use super::running::Running;
use super::session::{self, Session};
use super::ui::Ui;
use super::{bundle, device, interrupt, output};

mod random_model;

/// Arguments of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary bench --synth gemma2-2b --layers 4
  lapidary bench --synth gemma2-2b --weights int4:32
  lapidary bench --model ~/models/gemma-2-2b-it --pp 128,512 --tg 32 --depth 0,1024
  lapidary bench --synth gemma2-2b --pp 0 --tg 32 --batch 1,4,8 --output csv > decode.csv

Each length is measured at each depth and batch size. Lists are separated by commas.")]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Measure a model of random weights instead: gemma-2b, gemma-7b, gemma2-2b, gemma2-9b, gemma2-27b, tiny. For a CPU
    /// they are written to the cache directory, and deleted once they are mapped; TPUs and GPUs make them up themselves.
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    synth: Option<String>,

    /// Have the CPU's plugin make up random weights as TPUs and GPUs do, without a file.
    #[arg(long, requires = "synth")]
    synth_on_device: bool,

    /// Decoder layers of the random model, instead of the config's.
    #[arg(long, value_name = "N", requires = "synth", conflicts_with = "model")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    layers: Option<usize>,

    /// How the random model's weights are stored: bf16, or codes of 8 or 4 bits with a scale for each GROUP of inputs.
    #[arg(long, value_name = "bf16|int8|int4[:GROUP]", requires = "synth", conflicts_with = "model")]
    weights: Option<WeightScheme>,

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

    /// Tests to run, in this order, instead of every length at every depth and batch: pp512, or tg32@1024x8 for 32 tokens at
    /// a depth of 1024 in 8 sequences.
    #[arg(long, value_name = "TEST,...", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["pp", "tg", "depth", "batch"])]
    test: Vec<Test>,

    /// Times that each test is measured.
    #[arg(long, short, value_name = "N", default_value = "3", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    repetitions: NonZeroUsize,

    /// Times that each test is run before; a generation then makes one token.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<usize>)]
    #[arg(allow_negative_numbers = true)]
    warmup: usize,

    /// Most tokens that are chosen on the device before they are shown (1 to 1024). Default: what suits the device.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = steps_per_dispatch)]
    steps_per_dispatch: Option<NonZeroUsize>,

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
    /// An object for what all tests have in common, one for each test as soon as it is finished, and then one for all as
    /// json prints it. A test that fails has its reason under `failed`, and the others go on.
    Jsonl,
}

/// Measures a model. Ctrl-C ends the measuring; what is finished is printed.
///
/// # Errors
/// If there is nothing to measure, the model cannot take it, there is no room for it, or the device fails.
pub fn run(args: BenchArgs, ui: &Ui) -> Result<()> {
    let unix_time_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let subject = Subject::of(&args, ui)?;
    let tests = match args.test.as_slice() {
        [] => args.suite().tests(subject.config())?,
        tests => {
            tests.iter().try_for_each(|test| test.check(subject.config()))?;
            tests.to_vec()
        }
    };
    // Refused before gigabytes are written.
    let bundle = bundle::open(subject.config(), &args.model, &args.device)?;
    bundle::mesh_plan(bundle.as_ref(), &args.device)?;
    if let Some(bundle) = bundle {
        tests.iter().try_for_each(|test| bundle.check_rows(test.batch))?;
        tests.iter().try_for_each(|test| bundle.check_context(test.positions()))?;
    }

    let name = subject.name();
    let running = subject.start(&args, ui)?;
    let setting = setting(name, &running, unix_time_s);
    let (report, failure) = measure(&running, setting, &tests, &args, ui)?;
    if !report.tests.is_empty() {
        match args.output {
            OutputArg::Md => output::text(&report.markdown())?,
            OutputArg::Csv => output::text(&report.csv())?,
            OutputArg::Json | OutputArg::Jsonl => output::json(&report)?,
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if report.complete => Ok(()),
        None => Err(Interrupted.into()),
    }
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
        let mut config = config.with_layers(layers)?;
        config.encodings = Encodings::uniform(&config, args.weights.unwrap_or_default())?;
        Ok(Self::Random { name: name.clone(), config: Box::new(config) })
    }

    fn config(&self) -> &GemmaConfig {
        match self {
            Self::Existing(model) => model.checkpoint().config(),
            Self::Random { config, .. } => config,
        }
    }

    /// What to call it.
    fn name(&self) -> String {
        match self {
            Self::Existing(model) => model.path().display().to_string(),
            Self::Random { name, config } => {
                let weights = match config.encodings.is_dense() {
                    true => "random weights".to_owned(),
                    false => format!("random weights, {}", config.encodings),
                };
                format!("{name}, {} layers of {weights}", config.num_layers)
            }
        }
    }

    /// The model, ready to run.
    fn start(self, args: &BenchArgs, ui: &Ui) -> Result<Running> {
        let BenchArgs { model: model_args, device: device_args, .. } = args;
        let model = match self {
            Self::Existing(model) => *model,
            Self::Random { name, config } if makes_weights_on_device(args)? => {
                let devices = MeshPlan::read(&device_args.mesh)?.num_devices();
                let connection = device::connect(device_args, None, devices, ui)?;
                return Running::random(name, &config, model_args.numerics(), connection, device_args, ui);
            }
            Self::Random { config, .. } => random_model::make(&config, model_args.dtype, ui)?,
        };
        let connected = Session::connect(model, model_args, device_args, ui)?;
        Ok(connected.load(ui, bench::prepare_start)?.into_running())
    }
}

/// Whether random weights are made up by the devices: those with a memory of their own, or that are asked to.
fn makes_weights_on_device(args: &BenchArgs) -> Result<bool> {
    let BenchArgs { device, synth_on_device, .. } = args;
    if device.bundle.bundle.is_some() {
        if *synth_on_device {
            bail!("--synth-on-device does not go with a bundle: leave out one of them");
        }
        return Ok(false);
    }
    let kind = device.choice.device.plugin_kind().unwrap_or_else(|| device::best_present().0);
    Ok(*synth_on_device || kind != PluginKind::Cpu)
}

/// An error of a measurement; of a shortage of memory it says what was asked, what was free, and what fits.
fn explained(running: &Running, error: BenchError) -> anyhow::Error {
    match error {
        BenchError::Engine(error) => running.explain(error),
        error => error.into(),
    }
}

fn setting(model: String, running: &Running, unix_time_s: u64) -> Setting {
    let engine = &running.engine;
    let client = engine.placement().client();
    Setting {
        model,
        parameters: engine.config().parameter_count(),
        weight_bytes: engine.load_stats().iter().map(|device| device.bytes).sum(),
        dtype: engine.dtype().to_string(),
        kv_cache: Some(engine.kv_cache()).filter(|&form| form != KvCache::Dense).map(|form| form.to_string()),
        device: engine.placement().to_string(),
        threads: Probes::new().threads(),
        lapidary_version: env!("CARGO_PKG_VERSION").to_owned(),
        plugin_version: running
            .plugin_version
            .clone()
            .unwrap_or_else(|| client.platform_version().to_owned()),
        pjrt_api_version: client.plugin().api_version().to_string(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        unix_time_s,
    }
}

/// A test that failed, where the others go on.
#[derive(Serialize)]
struct FailedTest {
    #[serde(flatten)]
    test: Test,
    /// Why.
    failed: String,
}

/// Runs the tests, as many as Ctrl-C leaves time for, between two measurements of what the devices can do. Where each test
/// is told of as soon as it is finished, one that fails is, too; the first failure is then given beside the report.
fn measure(
    running: &Running,
    setting: Setting,
    tests: &[Test],
    args: &BenchArgs,
    ui: &Ui,
) -> Result<(Report, Option<anyhow::Error>)> {
    let (repetitions, tells_each) = (args.repetitions(), args.output == OutputArg::Jsonl);
    let engine = &running.engine;
    let _catch = interrupt::catch();
    let spinner = ui.spinner("the first token".to_owned());
    let start = bench::start(engine, running.plugin_s, running.load_s);
    spinner.finish_and_clear();
    running.tell_compilations(ui);
    let start = start.map_err(|error| explained(running, error))?;
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
    if tells_each {
        report.relate();
        output::json(&report)?;
    }
    let mut failure = None;
    for (number, test) in tests.iter().enumerate() {
        let spinner = ui.spinner(format!("{test} ({} of {})", number + 1, tests.len()));
        let measured =
            bench::measure(engine, test, repetitions, args.steps_per_dispatch, &mut interrupt::poll);
        spinner.finish_and_clear();
        running.tell_compilations(ui);
        let measurement = match measured.map_err(|error| explained(running, error)) {
            Ok(Some(measurement)) => measurement,
            Ok(None) => break,
            Err(error) if tells_each => {
                output::json(&FailedTest { test: *test, failed: format!("{error:#}") })?;
                failure.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        ui.remark(format_args!("{test}: {:.2} tokens/s", measurement.tokens_per_s.mean));
        report.tests.push(measurement);
        if tells_each {
            report.relate();
            output::json(&report.tests.last())?;
        }
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
    Ok((report, failure))
}
