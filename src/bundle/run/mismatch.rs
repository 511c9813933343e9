//! What a bundle is for, and what it is to be used for.

use lapidary_graph::DType;
use lapidary_lower::{Mesh, ShardingRules};
use lapidary_models::program::KvCache;

/// A difference between what a bundle's programs were compiled for and what they are to run as. It says
/// both.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mismatch {
    /// A model of other sizes.
    #[error("is of `{bundle}`, but this model differs: {differences}")]
    Config {
        /// The bundle's model.
        bundle: String,
        /// Fields of `config.json` with both values.
        differences: String,
    },
    /// Another element type.
    #[error("runs in {bundle}, but --dtype {asked} was asked for")]
    Dtype {
        /// The bundle's.
        bundle: DType,
        /// The one asked for.
        asked: DType,
    },
    /// Another form of the KV cache.
    #[error("has a KV cache in {bundle}, but --kv-cache {asked} was asked for")]
    KvCache {
        /// The bundle's.
        bundle: KvCache,
        /// The one asked for.
        asked: KvCache,
    },
    /// Another mesh.
    #[error("is for {}, but {} was asked for", mesh_in_words(bundle), mesh_in_words(asked))]
    Mesh {
        /// The bundle's.
        bundle: Mesh,
        /// The one asked for.
        asked: Mesh,
    },
    /// Another number of virtual devices.
    #[error("is for {}, but --virtual-devices {asked} was asked for", devices_in_words(*bundle))]
    VirtualDevices {
        /// The bundle's devices.
        bundle: usize,
        /// The number asked for.
        asked: usize,
    },
    /// Other sharding rules.
    #[error("splits {}, but the --rules given split {}", .0.bundle, .0.asked)]
    Rules(Box<RulesDifference>),
    /// A longer context.
    #[error("has room for {bundle} positions of each sequence, but {asked} were asked for")]
    Context {
        /// The bundle's.
        bundle: usize,
        /// The one asked for.
        asked: usize,
    },
    /// Another platform.
    #[error("is for {bundle}, but the device here is {here}")]
    Platform {
        /// What the bundle is for.
        bundle: String,
        /// What there is.
        here: String,
    },
    /// Fewer devices.
    #[error("is for {}, but {here} are here", devices_in_words(*bundle))]
    DeviceCount {
        /// The bundle's.
        bundle: usize,
        /// What there is.
        here: usize,
    },
    /// Devices of other ids.
    #[error("is for the devices with the ids {bundle}, but those here have {here}")]
    DeviceIds {
        /// The bundle's.
        bundle: String,
        /// What there is.
        here: String,
    },
    /// Another kind of device.
    #[error("is for devices of the kind `{bundle}`, but `{here}` is here")]
    DeviceKind {
        /// The bundle's.
        bundle: String,
        /// What there is.
        here: String,
    },
    /// Another plugin.
    #[error("was compiled by the {kind} plugin {bundle}, but the one here is {here}")]
    Plugin {
        /// `cpu`.
        kind: String,
        /// The plugin that compiled.
        bundle: String,
        /// The plugin here.
        here: String,
    },
    /// A processor that lacks what the code may use.
    #[error("has code for a processor `{bundle}`, but this one is `{here}`, which lacks {missing}")]
    Processor {
        /// The one that it was compiled on.
        bundle: String,
        /// This one.
        here: String,
        /// Features that this one lacks.
        missing: String,
    },
    /// A bundle for the CPU that does not say for which.
    #[error("does not say which processor its code is for")]
    UnknownProcessor,
}

/// What two sets of rules make of a logical axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesDifference {
    /// The bundle's rule.
    pub bundle: String,
    /// The other one.
    pub asked: String,
}

impl Mismatch {
    /// What can be done about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Config { .. } => "compile one for this model".to_string(),
            Self::Dtype { asked, .. } => format!("leave it out, or compile one with --dtype {asked}"),
            Self::KvCache { asked, .. } => {
                format!("leave it out, or compile one with --kv-cache {asked}")
            }
            Self::Mesh { .. } => "leave --mesh out, or compile one for that mesh".to_string(),
            Self::VirtualDevices { asked, .. } => {
                format!("leave it out, or compile one for {}", devices_in_words(*asked))
            }
            Self::Rules(_) => "leave them out, or compile one with them".to_string(),
            Self::Context { bundle, asked } => {
                format!("ask for at most {bundle}, or compile one with --context {asked}")
            }
            Self::Platform { bundle, here } => {
                format!("run it where there is {bundle}, or compile one for {here}")
            }
            Self::DeviceCount { bundle, here } => {
                format!("run it where there are {bundle}, or compile one for {here}")
            }
            Self::DeviceIds { .. } | Self::DeviceKind { .. } => {
                "compile one for these devices, or add --recompile".to_string()
            }
            Self::Plugin { .. } => {
                "give that one as --plugin, compile the bundle again, or add --recompile".to_string()
            }
            Self::Processor { .. } | Self::UnknownProcessor => {
                "compile one on this machine, or add --recompile".to_string()
            }
        }
    }
}

impl RulesDifference {
    /// The first logical axis that two sets of rules treat differently; `None` if there is none.
    pub(super) fn of(bundle: &ShardingRules, asked: &ShardingRules) -> Option<Self> {
        let axes = bundle.iter().chain(asked.iter()).map(|(axis, _)| axis);
        let in_words = |rules: &ShardingRules, axis: &str| {
            let over = match rules.mesh_axes(axis) {
                [] => "nothing".to_string(),
                mesh_axes => format!("`{}`", mesh_axes.join("`, `")),
            };
            let whole = if rules.keeps_units_whole(axis) { " in whole units" } else { "" };
            format!("`{axis}` over {over}{whole}")
        };
        axes.map(|axis| Self { bundle: in_words(bundle, axis), asked: in_words(asked, axis) })
            .find(|difference| difference.bundle != difference.asked)
    }
}

fn devices_in_words(devices: usize) -> String {
    match devices {
        1 => "one device".to_string(),
        devices => format!("{devices} devices"),
    }
}

fn mesh_in_words(mesh: &Mesh) -> String {
    match mesh.num_devices() {
        1 => devices_in_words(1),
        _ => format!("the mesh {mesh}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_differ_by_what_they_do() {
        let transformer = ShardingRules::transformer();
        assert_eq!(RulesDifference::of(&transformer, &transformer), None);
        // In another order.
        let one = ShardingRules::none().with("ffn", &["model"]).with("vocab", &["model"]);
        let two = ShardingRules::none().with("vocab", &["model"]).with("ffn", &["model"]);
        assert_eq!(RulesDifference::of(&one, &two), None);
        // A rule of nothing is none.
        assert_eq!(RulesDifference::of(&one.clone().with("seq", &[]), &one), None);
        let difference =
            RulesDifference::of(&transformer, &transformer.clone().with("kv_heads", &[])).unwrap();
        assert_eq!(difference.bundle, "`kv_heads` over `model` in whole units");
        assert_eq!(difference.asked, "`kv_heads` over nothing in whole units");
    }
}
