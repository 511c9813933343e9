//! Arguments of commands that need a model's sizes but not its weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use lapidary::engine::preferred_dtype;
use lapidary::graph::DType;
use lapidary::lower::{Mesh, ShardingRules};
use lapidary::models::builtin;
use lapidary::models::checkpoint::{LocateError, locate};
use lapidary::models::config::GemmaConfig;
use lapidary::models::encoding::{Encodings, WeightScheme};
use lapidary::models::gguf::is_gguf;
use lapidary::models::program::KvCache;

use super::args::{DtypeArg, whole};
use super::mesh::read_rules;

/// Which programs of which model.
#[derive(Args, Debug)]
pub struct ProgramArgs {
    /// A published model such as gemma2-27b, a config.json, a model directory, a GGUF file, or a model of the Hugging
    /// Face cache. No weights are read.
    #[arg(long, short, value_name = "NAME|FILE|DIR", value_parser = NonEmptyStringValueParser::new())]
    pub model: String,

    /// Element type of activations, and of weights that are not in few bits; auto keeps bf16, and runs f32 and f16
    /// checkpoints in f32.
    #[arg(long, value_enum, default_value_t = DtypeArg::Auto)]
    dtype: DtypeArg,

    /// How weights are stored, and so taken by the programs: bf16 (all as --dtype says), or codes of 8 or 4 bits with a
    /// scale for each GROUP of inputs: int8 has one for each output, int4 one for 64 inputs. By default as the model's
    /// config says.
    #[arg(long, value_name = "bf16|int8|int4[:GROUP]")]
    weights: Option<WeightScheme>,

    /// How the KV cache is held: bf16 (as --dtype says), or int8: codes of 8 bits with a scale for each head of each
    /// position.
    #[arg(long, value_name = "bf16|int8", default_value_t = KvCache::Dense)]
    kv_cache: KvCache,

    /// Sequences at a time.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub batch: usize,

    /// Positions that each sequence can hold; by default the model's context.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    context: Option<usize>,
}

/// How programs are split.
#[derive(Args, Debug)]
pub struct SplitArgs {
    /// Devices in a grid of named axes, such as data=2,model=4: the rows of a batch are split over data; heads,
    /// feed-forward and vocabulary over model.
    #[arg(long, value_name = "AXIS=N,...")]
    pub mesh: Option<Mesh>,

    /// Which axes of the model are split over which axes of the mesh, where that is to differ from the built-in
    /// rules.
    #[arg(long, value_name = "FILE.toml")]
    rules: Option<PathBuf>,
}

impl SplitArgs {
    /// How logical axes are split.
    ///
    /// # Errors
    /// If the file cannot be read or used.
    pub fn rules(&self) -> Result<ShardingRules> {
        let rules = self.rules.as_deref().map(read_rules).transpose()?;
        Ok(rules.unwrap_or_else(ShardingRules::transformer))
    }
}

/// A model's sizes, read and checked.
pub struct ProgramChoice {
    /// What the model is called.
    pub model: String,
    /// Its sizes, and how its weights are stored.
    pub config: GemmaConfig,
    /// Element type of activations, and of weights that are not in few bits.
    pub dtype: DType,
    /// Form of the KV cache.
    pub kv_cache: KvCache,
    /// Positions that each sequence can hold.
    pub context: usize,
}

impl ProgramArgs {
    /// Reads the files that the arguments name.
    ///
    /// # Errors
    /// If there is no such model, a file cannot be read or used, or groups do not divide the model's sizes.
    pub fn read(&self) -> Result<ProgramChoice> {
        let mut config = open_config(&self.model)?;
        if let Some(scheme) = self.weights {
            config.encodings = Encodings::uniform(&config, scheme)?;
        }
        let stored = preferred_dtype(config.checkpoint_dtype, !config.encodings.is_dense());
        Ok(ProgramChoice {
            model: short_name(&self.model),
            dtype: self.dtype.dtype().unwrap_or(stored),
            kv_cache: self.kv_cache,
            context: self.context.unwrap_or(config.context),
            config,
        })
    }
}

/// The config that a name stands for: a file's, a directory's, a published model's, one's in the Hugging Face
/// cache.
fn open_config(name: &str) -> Result<GemmaConfig> {
    let path = Path::new(name);
    if path.is_dir() || is_gguf(path) {
        return Ok(GemmaConfig::open(&locate(name)?)?);
    }
    if path.is_file() {
        let text = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let config = GemmaConfig::from_json(&text);
        return config.with_context(|| format!("{name} does not describe a usable Gemma model"));
    }
    if name == builtin::NAME {
        return Ok(builtin::checkpoint()?.config().clone());
    }
    let unknown = match GemmaConfig::named(name) {
        Ok(config) => return Ok(config),
        Err(unknown) => unknown,
    };
    match locate(name) {
        Ok(directory) => Ok(GemmaConfig::open(&directory)?),
        Err(LocateError::NotFound { .. }) => Err(unknown).with_context(|| {
            format!(
                "no model `{name}`: give a published model, a config.json, a model directory, a GGUF file, or a \
                 model of the Hugging Face cache"
            )
        }),
        Err(error) => Err(error.into()),
    }
}

/// A name without the folders that lead to it: the same model in another place has the same name.
fn short_name(name: &str) -> String {
    let path = Path::new(name);
    let parent = path.parent().and_then(Path::file_name);
    let last = match (path.is_file(), parent) {
        // A config.json is called like all others.
        (true, Some(directory)) if !is_gguf(path) => Some(directory),
        _ => path.file_name(),
    };
    last.map_or_else(|| name.to_string(), |last| last.to_string_lossy().into_owned())
}
