//! Arguments that several commands share.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use lapidary::engine::{Kernels, MAX_STEPS_PER_DISPATCH, Numerics, Sampling};
use lapidary::graph::DType;
use lapidary::lower::Mesh;
use lapidary::models::program::KvCache;
use lapidary::runtime::plugins::PluginKind;

use super::bundle::BundleArgs;
use super::device::GpuMemoryArgs;
use super::xla_flag::XlaFlag;

/// Which model, and how its weights are held.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// Model directory, GGUF file, or a model of the Hugging Face cache such as google/gemma-2-2b-it. Without it,
    /// pebble: the small Gemma 2 that is built in.
    #[arg(long, short, value_name = "DIR|FILE|NAME", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,

    /// Element type of weights and activations; auto keeps bf16, and runs f32 and f16 checkpoints in f32.
    #[arg(long, value_enum, default_value_t = DtypeArg::Auto)]
    pub dtype: DtypeArg,

    /// How the KV cache is held: bf16 (as --dtype says), or int8: codes of 8 bits with a scale for each head of each
    /// position. By default bf16, or as the programs of a --bundle have it.
    #[arg(long, value_name = "bf16|int8")]
    pub kv_cache: Option<KvCache>,

    /// Look for NaN and infinity in the weights before running.
    #[arg(long)]
    pub check: bool,
}

impl ModelArgs {
    /// The engine's form of what a model is to run in.
    pub fn numerics(&self) -> Numerics {
        Numerics { dtype: self.dtype.dtype(), kv_cache: self.kv_cache.unwrap_or_default() }
    }
}

/// `--dtype`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum DtypeArg {
    /// What suits the checkpoint.
    Auto,
    /// bfloat16.
    Bf16,
    /// Single precision.
    F32,
}

impl DtypeArg {
    /// The graph's dtype; `None` for auto.
    pub fn dtype(self) -> Option<DType> {
        match self {
            Self::Auto => None,
            Self::Bf16 => Some(DType::BF16),
            Self::F32 => Some(DType::F32),
        }
    }
}

/// Where to run.
#[derive(Args, Debug)]
pub struct DeviceArgs {
    #[command(flatten)]
    pub choice: DeviceChoice,
    #[command(flatten)]
    pub mesh: MeshArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub bundle: BundleArgs,

    /// Which parts of a model are kernels of ours on the CPU, instead of what the compiler makes of them: auto, off, or
    /// names out of linear, quantized, attention, cache, rows.
    #[arg(long, value_name = "auto|off|NAME,...", default_value_t = Kernels::AUTO)]
    pub kernels: Kernels,

    #[command(flatten)]
    pub gpu: GpuMemoryArgs,

    /// Flag of XLA's compiler for the programs of this command, such as xla_gpu_autotune_level=0; can be given
    /// several times.
    #[arg(long = "xla-flag", value_name = "NAME=VALUE", conflicts_with = "bundle")]
    pub xla_flags: Vec<XlaFlag>,
}

/// Which kind of device.
#[derive(Args, Debug)]
pub struct DeviceChoice {
    /// Device to run on: auto, cpu, tpu, cuda, or cuda:N for one of several GPUs, counted from 0. auto takes the best
    /// one present (TPU, then NVIDIA GPU, then CPU) and says which.
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceArg::Auto)]
    pub device: DeviceArg,

    /// PJRT plugin to load, instead of looking for one.
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
}

/// How a model is split over several devices.
#[derive(Args, Debug)]
pub struct MeshArgs {
    /// Split the model over devices in a grid of named axes, such as data=2,model=4: the rows of a batch over
    /// data; heads, feed-forward and vocabulary over model.
    #[arg(long, value_name = "AXIS=N,...")]
    pub mesh: Option<Mesh>,

    /// How many devices the CPU is to act as; default: as many as the mesh has.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub virtual_devices: Option<usize>,

    /// Which axes of the model are split over which axes of the mesh, where that is to differ from the built-in
    /// rules.
    #[arg(long, value_name = "FILE.toml", requires = "mesh")]
    pub rules: Option<PathBuf>,

    /// Print to standard error how weights and KV cache lie on the devices.
    #[arg(long)]
    pub show_sharding: bool,
}

/// Whether executables are kept, and what is told of them.
#[derive(Args, Debug)]
pub struct CacheArgs {
    /// Compile every program: neither look for it in the cache of executables nor keep it there.
    #[arg(long)]
    pub no_cache: bool,

    /// Tell of each program whether it came from the cache, why not, and how long it took.
    #[arg(long, short)]
    pub verbose: bool,
}

/// `--device`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceArg {
    /// The best present: TPU, then NVIDIA GPU, then CPU.
    Auto,
    /// This machine's processors.
    Cpu,
    /// A Cloud TPU.
    Tpu,
    /// NVIDIA GPUs, or the one that the driver counts as this number.
    Cuda(Option<u32>),
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "tpu" => Ok(Self::Tpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(ordinal)) => Ok(Self::Cuda(Some(ordinal))),
                Some(Err(_)) => Err("the number of a GPU counts from 0, as in cuda:0".to_owned()),
                None => Err("possible values: auto, cpu, tpu, cuda, cuda:N".to_owned()),
            },
        }
    }
}

impl fmt::Display for DeviceArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Tpu => f.write_str("tpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(ordinal)) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl DeviceArg {
    /// The number of the only GPU to use, where one was chosen.
    pub fn gpu_ordinal(self) -> Option<u32> {
        match self {
            Self::Cuda(ordinal) => ordinal,
            Self::Auto | Self::Cpu | Self::Tpu => None,
        }
    }

    /// The plugin that drives the device; `None` for the best one present.
    pub fn plugin_kind(self) -> Option<PluginKind> {
        match self {
            Self::Auto => None,
            Self::Cpu => Some(PluginKind::Cpu),
            Self::Tpu => Some(PluginKind::Tpu),
            Self::Cuda(_) => Some(PluginKind::Cuda),
        }
    }
}

/// How tokens are chosen.
#[derive(Args, Debug)]
pub struct SamplingArgs {
    /// Randomness; 0 always takes the most likely token.
    #[arg(long, short, default_value_t = 0.0, value_name = "T", allow_negative_numbers = true)]
    pub temperature: f32,

    /// Choose among the K most likely tokens; 0 means all.
    #[arg(long, default_value_t = 0, value_name = "K", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub top_k: usize,

    /// Choose among the most likely tokens up to this total probability.
    #[arg(long, default_value_t = 1.0, value_name = "P", allow_negative_numbers = true)]
    pub top_p: f32,

    /// Choose among tokens at least P times as likely as the most likely one.
    #[arg(long, default_value_t = 0.0, value_name = "P", allow_negative_numbers = true)]
    pub min_p: f32,

    /// Make tokens that have occurred less likely (above 1) or more (below 1).
    #[arg(long, default_value_t = 1.0, value_name = "F", allow_negative_numbers = true)]
    pub repetition_penalty: f32,

    /// Seed of the random choices: same seed, same answer.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = whole::<u64>)]
    pub seed: u64,

    /// Most tokens that are chosen on the device before they are shown (1 to 1024). Default: what suits the device.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = steps_per_dispatch)]
    pub steps_per_dispatch: Option<NonZeroUsize>,
}

/// Parses a whole number, for flags that take negative ones only to refuse them by what they mean: clap
/// alone would call `-5` an unexpected argument.
pub fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("give a whole number from 0 to {}", u64::MAX))
}

/// Parses a whole number that must not be zero.
pub fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    NonZeroUsize::new(whole(text)?).ok_or_else(|| "give at least 1".to_owned())
}

/// Parses a number of steps in one dispatch.
pub fn steps_per_dispatch(text: &str) -> Result<NonZeroUsize, String> {
    let steps = at_least_one(text)?;
    Some(steps)
        .filter(|&steps| steps <= MAX_STEPS_PER_DISPATCH)
        .ok_or_else(|| format!("give at most {MAX_STEPS_PER_DISPATCH}"))
}

/// Parses bytes, with a decimal (`5GB`) or binary (`5GiB`) unit or none.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("", 1),
        ("B", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    let bytes =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "expected a size such as 5GB, 500MB or 2GiB, greater than zero".to_owned())
}

impl SamplingArgs {
    /// The engine's form.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceArg, size};

    #[test]
    fn devices_read_as_they_are_written() {
        for text in ["auto", "cpu", "tpu", "cuda", "cuda:0", "cuda:7"] {
            assert_eq!(text.parse().map(|device: DeviceArg| device.to_string()), Ok(text.to_string()));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA"] {
            assert!(text.parse::<DeviceArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_either_kind_of_unit() {
        for (text, bytes) in [("5GB", 5_000_000_000), ("2 gib", 2 << 30), ("17", 17), ("3kB", 3000)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "0", "0MB", "1.5GB", "-1", "5XB", "99999999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
