//! Running a model with the programs of a bundle: no graph is built, and nothing compiled.
//!
//! A [`Bundle`] is opened and compared with what is to run without any device; its [`programs`](Bundle::programs) are
//! for the devices that then turn out to be there.

mod config;
mod error;
mod interface;
mod mismatch;
mod platform;
mod programs;

use std::path::{Path, PathBuf};

use lapidary_graph::DType;
use lapidary_lower::{Mesh, ShardingRules};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::KvCache;
use lapidary_runtime::Client;
use lapidary_runtime::plugins::PluginKind;

pub use error::RunError;
pub use mismatch::{Mismatch, RulesDifference};
pub use programs::BundlePrograms;

use super::manifest::BundleManifest;
use crate::engine::Placement;
use crate::engine::cache::ExecutableCache;

/// A bundle to run a model with.
#[derive(Clone, Debug)]
pub struct Bundle {
    directory: PathBuf,
    manifest: BundleManifest,
    config: GemmaConfig,
    dtype: DType,
    kv_cache: KvCache,
    mesh: Mesh,
    rules: ShardingRules,
    kind: PluginKind,
}

impl Bundle {
    /// Reads the manifest of a bundle.
    ///
    /// # Errors
    /// If `directory` is no bundle, or of a format that this version does not read; [`RunError::Manifest`].
    pub fn open(directory: &Path) -> Result<Self, RunError> {
        let manifest = super::open(directory)?;
        let damaged = |problem: String| RunError::Manifest { directory: directory.to_owned(), problem };
        let config = GemmaConfig::from_json(manifest.model.config.to_string().as_bytes());
        let axes = manifest.mesh.iter().map(|axis| (axis.name.clone(), axis.size));
        let mesh = Mesh::new(axes).map_err(|error| damaged(error.to_string()))?;
        if manifest.devices != mesh.num_devices() {
            return Err(damaged(format!("the mesh `{mesh}` is not of {} devices", manifest.devices)));
        }
        let Some(program) = manifest.programs.first() else {
            return Err(damaged("it lists no program".to_string()));
        };
        let mut config =
            config.map_err(|error| damaged(format!("the model's config cannot be used: {error}")))?;
        config.encodings = interface::encodings(&config, program)
            .map_err(|problem| damaged(format!("its programs are not of its model: {problem}")))?;
        Ok(Self {
            directory: directory.to_owned(),
            config,
            dtype: manifest.dtype.parse().map_err(|error| damaged(format!("{error}")))?,
            kv_cache: interface::kv_cache(program),
            rules: rules(&manifest),
            kind: manifest.plugin.kind.parse().map_err(|error| damaged(format!("{error}")))?,
            mesh,
            manifest,
        })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Element type of activations, and of weights that are not encoded.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Form of the KV cache.
    pub fn kv_cache(&self) -> KvCache {
        self.kv_cache
    }

    /// The arrangement of its devices.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// How logical axes are split over the mesh.
    pub fn rules(&self) -> &ShardingRules {
        &self.rules
    }

    /// The plugin that its programs are for.
    pub fn plugin_kind(&self) -> PluginKind {
        self.kind
    }

    /// Positions that a sequence can have: those of the programs with the most.
    pub fn context(&self) -> usize {
        self.manifest.programs.iter().map(|program| program.context).max().unwrap_or(0)
    }

    /// Sequences that run at a time: as many as the largest programs have rows.
    pub fn max_rows(&self) -> usize {
        self.manifest.programs.iter().map(|program| program.batch).max().unwrap_or(0)
    }

    /// Checks that its programs are of a model, and take its weights as they are stored. Which tokens end an answer, for
    /// example, is no part of them.
    ///
    /// # Errors
    /// [`Mismatch::Config`].
    pub fn check_model(&self, config: &GemmaConfig) -> Result<(), RunError> {
        match config::differences(&self.config, config) {
            None => Ok(()),
            Some(differences) => {
                Err(self.refuses(Mismatch::Config { bundle: self.manifest.model.name.clone(), differences }))
            }
        }
    }

    /// Checks that its programs run in an element type.
    ///
    /// # Errors
    /// [`Mismatch::Dtype`].
    pub fn check_dtype(&self, asked: DType) -> Result<(), RunError> {
        match asked == self.dtype {
            true => Ok(()),
            false => Err(self.refuses(Mismatch::Dtype { bundle: self.dtype, asked })),
        }
    }

    /// Checks that its programs hold the KV cache in a form.
    ///
    /// # Errors
    /// [`Mismatch::KvCache`].
    pub fn check_kv_cache(&self, asked: KvCache) -> Result<(), RunError> {
        match asked == self.kv_cache {
            true => Ok(()),
            false => Err(self.refuses(Mismatch::KvCache { bundle: self.kv_cache, asked })),
        }
    }

    /// Checks that its programs are for a mesh. Axes of one device make no difference to them.
    ///
    /// # Errors
    /// [`Mismatch::Mesh`].
    pub fn check_mesh(&self, asked: &Mesh) -> Result<(), RunError> {
        match (asked.num_devices(), self.mesh.num_devices()) {
            (1, 1) => Ok(()),
            _ if *asked == self.mesh => Ok(()),
            _ => Err(self.refuses(Mismatch::Mesh { bundle: self.mesh.clone(), asked: asked.clone() })),
        }
    }

    /// Checks that its programs are for so many devices that the CPU acts as.
    ///
    /// # Errors
    /// [`Mismatch::VirtualDevices`].
    pub fn check_virtual_devices(&self, asked: usize) -> Result<(), RunError> {
        match self.mesh.num_devices() {
            devices if devices == asked => Ok(()),
            bundle => Err(self.refuses(Mismatch::VirtualDevices { bundle, asked })),
        }
    }

    /// Checks that its programs are split as rules say. On one device all rules come to the same.
    ///
    /// # Errors
    /// [`Mismatch::Rules`].
    pub fn check_rules(&self, asked: &ShardingRules) -> Result<(), RunError> {
        match RulesDifference::of(&self.rules, asked) {
            Some(difference) if self.mesh.num_devices() > 1 => {
                Err(self.refuses(Mismatch::Rules(Box::new(difference))))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that its programs have room for a context.
    ///
    /// # Errors
    /// [`Mismatch::Context`].
    pub fn check_context(&self, asked: usize) -> Result<(), RunError> {
        match self.context() {
            bundle if asked <= bundle => Ok(()),
            bundle => Err(self.refuses(Mismatch::Context { bundle, asked })),
        }
    }

    /// Checks that its programs are for the devices that a plugin drives.
    ///
    /// # Errors
    /// [`Mismatch::Platform`].
    pub fn check_device(&self, here: PluginKind) -> Result<(), RunError> {
        match here == self.kind {
            true => Ok(()),
            false => {
                let (bundle, here) = (self.kind.to_string(), here.to_string());
                Err(self.refuses(Mismatch::Platform { bundle, here }))
            }
        }
    }

    /// Checks that its programs have room for each of some sequences.
    ///
    /// # Errors
    /// [`RunError::TooLong`].
    pub fn check_sequences(&self, sequences: &[Vec<u32>]) -> Result<(), RunError> {
        let context = self.context();
        let lengths = sequences.iter().map(Vec::len).enumerate();
        match lengths.into_iter().find(|(_, tokens)| *tokens > context) {
            None => Ok(()),
            Some((row, tokens)) => {
                Err(RunError::TooLong { directory: self.directory.clone(), row, tokens, context })
            }
        }
    }

    /// Checks that it runs so many sequences at a time.
    ///
    /// # Errors
    /// [`RunError::TooManyRows`].
    pub fn check_rows(&self, rows: usize) -> Result<(), RunError> {
        match self.max_rows() {
            most if rows <= most => Ok(()),
            most => Err(RunError::TooManyRows { directory: self.directory.clone(), rows, most }),
        }
    }

    /// Its programs, for the devices of `client`, whose plugin's package has a version if that is known. `cache` knows
    /// the plugin's library, and takes what is compiled again.
    ///
    /// With `recompile`, programs whose executables are of no use here are compiled again from the bundle's StableHLO.
    ///
    /// # Errors
    /// [`RunError::Mismatch`], with `recompile` only where the programs themselves are not for what is here; if the devices are of another process, or what is here cannot be told.
    pub fn programs(
        self,
        client: &Client,
        plugin_version: Option<&str>,
        cache: &ExecutableCache,
        recompile: bool,
    ) -> Result<BundlePrograms, RunError> {
        self.check_platform(client)?;
        let mismatch = self.executables_mismatch(client, plugin_version, cache)?;
        if let Some(mismatch) = mismatch.clone().filter(|_| !recompile) {
            return Err(self.refuses(mismatch));
        }
        let placement = match &mismatch {
            Some(Mismatch::DeviceIds { .. }) => {
                Placement::new(client, self.mesh.clone(), self.rules.clone())?
            }
            Some(_) | None => {
                let ids = &self.manifest.compile_options.device_assignment;
                Placement::of_devices(client, self.mesh.clone(), self.rules.clone(), ids)?
            }
        };
        BundlePrograms::new(self, placement, recompile, mismatch)
    }

    fn refuses(&self, mismatch: Mismatch) -> RunError {
        RunError::Mismatch { directory: self.directory.clone(), mismatch }
    }
}

fn rules(manifest: &BundleManifest) -> ShardingRules {
    let rules = manifest.rules.iter().fold(ShardingRules::none(), |rules, rule| {
        let mesh_axes: Vec<&str> = rule.mesh_axes.iter().map(String::as_str).collect();
        rules.with(&rule.logical, &mesh_axes)
    });
    let whole = manifest.rules.iter().filter(|rule| rule.whole_units);
    rules.keeping_units_whole(&whole.map(|rule| rule.logical.as_str()).collect::<Vec<_>>())
}
