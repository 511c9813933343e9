//! Targets as their plugins know them.

use std::collections::BTreeMap;

use lapidary_lower::Mesh;
use lapidary_runtime::plugins::PluginKind;

use super::error::BundleError;
use super::gpu_config::target_config;
use super::job::{Devices, TopologyOption};
use super::manifest::TopologyManifest;
use crate::target::{ChipConfig, TargetSpec, TpuSlice};

impl Devices {
    /// The devices of a target; the CPU acts as many as `mesh` has.
    ///
    /// # Errors
    /// [`BundleError::NoTargetConfig`].
    pub(super) fn of(target: &TargetSpec, mesh: &Mesh) -> Result<Self, BundleError> {
        Ok(match target {
            TargetSpec::Cpu => Self::Cpu(mesh.num_devices()),
            TargetSpec::Tpu(slice) => Self::Topology(tpu(slice)),
            TargetSpec::Cuda { gpu, count } => {
                let config = target_config(gpu).ok_or(BundleError::NoTargetConfig { gpu: gpu.name })?;
                Self::Topology(TopologyManifest {
                    // The plugin ignores the name: the options say everything.
                    name: String::new(),
                    options: BTreeMap::from([
                        ("target_config".to_string(), TopologyOption::Text(config)),
                        // Partitions of the interconnect, machines of each, GPUs of each.
                        ("topology".to_string(), TopologyOption::Text(format!("1x1x{count}"))),
                    ]),
                })
            }
        })
    }

    /// What the bundle says of them.
    pub(super) fn topology(&self) -> Option<&TopologyManifest> {
        match self {
            Self::Cpu(_) => None,
            Self::Topology(topology) => Some(topology),
        }
    }
}

impl TargetSpec {
    /// The plugin that compiles for the target.
    pub fn plugin_kind(&self) -> PluginKind {
        match self {
            Self::Cpu => PluginKind::Cpu,
            Self::Tpu(_) => PluginKind::Tpu,
            Self::Cuda { .. } => PluginKind::Cuda,
        }
    }
}

fn tpu(slice: &TpuSlice) -> TopologyManifest {
    let mut options = BTreeMap::new();
    if slice.generation.has_chip_configs() {
        // The plugin's own default is a device a core, of which no chip is used any more.
        let name = match slice.chip_config {
            Some(ChipConfig::SingleCore) => "default",
            Some(ChipConfig::Megacore) | None => "megacore",
        };
        options.insert("chip_config_name".to_string(), TopologyOption::Text(name.to_string()));
    }
    if slice.num_slices > 1 {
        // Their number is bounded where a target is read.
        let slices = i64::try_from(slice.num_slices).unwrap_or(i64::MAX);
        options.insert("num_slices".to_string(), TopologyOption::Int(slices));
    }
    TopologyManifest { name: slice.topology(), options }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(target: &str) -> TopologyManifest {
        let target: TargetSpec = target.parse().unwrap();
        Devices::of(&target, &Mesh::default()).unwrap().topology().unwrap().clone()
    }

    #[test]
    fn v4_chips_are_one_device_unless_asked_otherwise() {
        let config = |target: &str| topology(target).options.get("chip_config_name").cloned();
        let text = |text: &str| Some(TopologyOption::Text(text.to_string()));
        assert_eq!(config("tpu:v4:2x2x1"), text("megacore"));
        assert_eq!(config("tpu:v4:2x2x1,chip_config_name=default"), text("default"));
        assert_eq!(config("tpu:v5p:2x2x1"), None);
    }

    #[test]
    fn slices_and_gpus_are_counted() {
        let slices = topology("tpu:v5p:2x2x1,num_slices=2");
        assert_eq!(slices.name, "v5p:2x2x1");
        assert_eq!(slices.options.get("num_slices"), Some(&TopologyOption::Int(2)));
        let gpus = topology("cuda:h100:4");
        assert_eq!(gpus.options.get("topology"), Some(&TopologyOption::Text("1x1x4".to_string())));
    }
}
