//! The mesh that the arguments ask for.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lapidary::bundle::Bundle;
use lapidary::engine::{Engine, Placement};
use lapidary::lower::{Mesh, ShardingRules};
use lapidary::runtime::Client;

use super::args::MeshArgs;
use super::ui::{self, Ui};

/// A mesh and rules that go together, before there are devices.
pub struct MeshPlan {
    mesh: Mesh,
    rules: ShardingRules,
}

impl MeshPlan {
    /// Reads and checks the arguments.
    ///
    /// # Errors
    /// If the rules cannot be read, or mesh, rules and number of virtual devices do not fit together.
    pub fn read(args: &MeshArgs) -> Result<Self> {
        let mesh = args.mesh.clone().unwrap_or_default();
        let rules = args.rules.as_deref().map(read_rules).transpose()?;
        let rules = rules.unwrap_or_else(ShardingRules::transformer);
        rules.check(&mesh)?;
        let needed = mesh.num_devices();
        match (args.virtual_devices, &args.mesh) {
            (Some(0), _) => bail!("--virtual-devices must be at least 1, not 0"),
            (Some(devices), Some(mesh)) if devices != needed => bail!(
                "--virtual-devices {devices} does not fit --mesh {mesh}, whose sizes multiply to {needed}: give \
                 --virtual-devices {needed}, which is the default, or another mesh"
            ),
            (Some(devices), None) if devices != 1 => bail!(
                "--virtual-devices {devices} needs a mesh that says what they are for: add --mesh, for example \
                 --mesh model={devices}"
            ),
            _ => Ok(Self { mesh, rules }),
        }
    }

    /// The mesh and rules of a bundle.
    pub fn of_bundle(bundle: &Bundle) -> Self {
        Self { mesh: bundle.mesh().clone(), rules: bundle.rules().clone() }
    }

    /// Devices that the mesh takes.
    pub fn num_devices(&self) -> usize {
        self.mesh.num_devices()
    }

    /// The devices of `client` that the model is to run on.
    ///
    /// # Errors
    /// If there are too few.
    pub fn place(self, client: &Client) -> Result<Placement> {
        if self.num_devices() > 1 {
            return Ok(Placement::new(client, self.mesh, self.rules)?);
        }
        let device = client.addressable_devices().first();
        Ok(Placement::single(client, device.context("the plugin has no device that this process can use")?))
    }
}

/// Says how a loaded model lies on its devices: all of it where the arguments ask, and otherwise what is on every
/// device because it cannot be split.
///
/// # Errors
/// If the model's sizes make no program.
pub fn tell_sharding(engine: &Engine, args: &MeshArgs, ui: &Ui) -> Result<()> {
    let report = engine.sharding_report()?;
    if args.show_sharding {
        ui::tell(report);
        return Ok(());
    }
    if report.devices > 1 {
        ui.remark(format_args!("mesh: {}", engine.placement()));
    }
    for deviation in report.undivided() {
        ui.note(format_args!("mesh {}: {deviation} (--show-sharding tells more)", report.mesh));
    }
    Ok(())
}

/// Reads sharding rules from a file.
///
/// # Errors
/// If it cannot be read, or holds no rules.
pub fn read_rules(path: &Path) -> Result<ShardingRules> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read --rules {}", path.display()))?;
    ShardingRules::from_toml(&text).with_context(|| format!("--rules {} cannot be used", path.display()))
}
