//! The devices that a plugin can be had for.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// The family of devices that a PJRT plugin drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PluginKind {
    /// The host's processors.
    Cpu,
    /// Google TPUs.
    Tpu,
    /// NVIDIA GPUs.
    Cuda,
}

impl PluginKind {
    /// Every kind, in the order in which they are listed to people.
    pub const ALL: [PluginKind; 3] = [PluginKind::Cpu, PluginKind::Tpu, PluginKind::Cuda];

    /// The name used on the command line and in directory names.
    pub fn name(self) -> &'static str {
        match self {
            PluginKind::Cpu => "cpu",
            PluginKind::Tpu => "tpu",
            PluginKind::Cuda => "cuda",
        }
    }

    /// The environment variables that name this plugin's library, strongest first.
    ///
    /// `TPU_LIBRARY_PATH` is what Cloud TPU images and JAX set, so it is honoured too.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            PluginKind::Cpu => &["LAPIDARY_PLUGIN_CPU"],
            PluginKind::Tpu => &["LAPIDARY_PLUGIN_TPU", "TPU_LIBRARY_PATH"],
            PluginKind::Cuda => &["LAPIDARY_PLUGIN_CUDA"],
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PluginKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        PluginKind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| Error::UnknownKind { name: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for kind in PluginKind::ALL {
            assert_eq!(kind.to_string().parse::<PluginKind>().unwrap(), kind);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = "gpu".parse::<PluginKind>().unwrap_err().to_string();
        assert_eq!(message, "unknown plugin `gpu`; the plugins are cpu, tpu and cuda");
    }
}
