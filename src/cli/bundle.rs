//! Running from a bundle.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lapidary::bundle::Bundle;
use lapidary::models::config::GemmaConfig;

use super::args::{DeviceArg, DeviceArgs, ModelArgs};
use super::device;
use super::mesh::{self, MeshPlan};

/// Which bundle, and what to do if it is not for this machine.
#[derive(Args, Debug)]
pub struct BundleArgs {
    /// Run the programs of a bundle that `lapidary compile` made of this model: nothing is compiled. Mesh, element
    /// type and form of the KV cache are the bundle's.
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,

    /// Where the bundle's executables are of no use here, compile its programs again from their StableHLO.
    #[arg(long, requires = "bundle")]
    pub recompile: bool,
}

impl BundleArgs {
    /// Reads the bundle, if there is to be one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> Result<Option<Bundle>> {
        Ok(self.bundle.as_deref().map(Bundle::open).transpose()?)
    }
}

/// Reads the bundle, if there is to be one, and checks that it is of a model and of what other arguments ask for.
///
/// # Errors
/// If it cannot be read, or differs.
pub fn open(config: &GemmaConfig, args: &ModelArgs, device_args: &DeviceArgs) -> Result<Option<Bundle>> {
    let Some(bundle) = device_args.bundle.read()? else { return Ok(None) };
    bundle.check_model(config)?;
    if let Some(dtype) = args.dtype.dtype() {
        bundle.check_dtype(dtype)?;
    }
    if let Some(kv_cache) = args.kv_cache {
        bundle.check_kv_cache(kv_cache)?;
    }
    let mesh_args = &device_args.mesh;
    if let Some(asked) = &mesh_args.mesh {
        bundle.check_mesh(asked)?;
    }
    if let Some(path) = &mesh_args.rules {
        bundle.check_rules(&mesh::read_rules(path)?)?;
    }
    if let Some(devices) = mesh_args.virtual_devices {
        bundle.check_virtual_devices(devices)?;
    }
    // A plugin that is named may drive any device.
    if device_args.choice.plugin.is_none() {
        bundle.check_device(device_kind(&bundle, device_args.choice.device))?;
    }
    Ok(Some(bundle))
}

/// The device that the arguments come to: for `auto` the bundle's, if there is one here.
fn device_kind(bundle: &Bundle, choice: DeviceArg) -> lapidary::runtime::plugins::PluginKind {
    match choice.plugin_kind() {
        Some(kind) => kind,
        None if device::is_attached(bundle.plugin_kind()) => bundle.plugin_kind(),
        None => device::best_present().0,
    }
}

/// The mesh to run on: the bundle's, or else what the arguments say.
///
/// # Errors
/// As [`MeshPlan::read`].
pub fn mesh_plan(bundle: Option<&Bundle>, args: &DeviceArgs) -> Result<MeshPlan> {
    match bundle {
        Some(bundle) => Ok(MeshPlan::of_bundle(bundle)),
        None => MeshPlan::read(&args.mesh),
    }
}
