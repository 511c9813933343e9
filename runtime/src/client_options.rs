//! Options of clients and topologies, checked before a plugin sees them.

use crate::{Attributes, Error, Result, Value, ValueKind};

/// Options for [`Client::create`](crate::Client::create).
///
/// The CPU plugin ignores options that it does not know and ends the process over a value of the wrong type,
/// so that both are refused here. Options unknown here are passed on to other plugins, which check them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientOptions {
    values: Attributes,
}

impl ClientOptions {
    /// Largest number of virtual CPU devices that is accepted; each costs threads and memory.
    pub const MAX_CPU_DEVICES: i64 = 1024;

    /// The plugin's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// CPU: number of virtual devices that share this host's cores. The plugin's default is 4.
    pub fn cpu_device_count(self, count: i64) -> Self {
        self.set("cpu_device_count", count)
    }

    /// NVIDIA GPU: memory comes from a pool that takes at most `fraction` of each GPU's memory, all of it at once
    /// if `preallocate`, and otherwise as it is needed. The plugin's defaults are 0.75, at once.
    pub fn gpu_memory_pool(self, fraction: f32, preallocate: bool) -> Self {
        self.set("allocator", "bfc").set("memory_fraction", fraction).set("preallocate", preallocate)
    }

    /// NVIDIA GPU: only the GPUs of these numbers, as the driver counts them, are touched and are devices.
    pub fn visible_gpus(self, ordinals: &[i64]) -> Self {
        self.set("visible_devices", ordinals.to_vec())
    }

    /// Sets any option by name.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.insert(name.into(), value.into());
        self
    }

    /// The options, if every value has the type and range that its name asks for.
    pub(crate) fn checked(&self) -> Result<&Attributes> {
        for (name, value) in &self.values {
            let Some(known) = KNOWN.iter().find(|known| known.name == name) else { continue };
            check_kind(name, known.kind, value)?;
            if name == "cpu_device_count"
                && !matches!(value, Value::Int(count) if (1..=Self::MAX_CPU_DEVICES).contains(count))
            {
                return Err(Error::OptionRange {
                    name: name.clone(),
                    expected: format!("between 1 and {}", Self::MAX_CPU_DEVICES),
                    found: value.clone(),
                });
            }
            if name == "memory_fraction"
                && !matches!(value, Value::Float(fraction) if *fraction > 0.0 && fraction.is_finite())
            {
                return Err(Error::OptionRange {
                    name: name.clone(),
                    expected: "a positive fraction of the device's memory".to_owned(),
                    found: value.clone(),
                });
            }
        }
        Ok(&self.values)
    }

    /// Refuses options that `platform` would ignore.
    pub(crate) fn check_platform(&self, platform: &str) -> Result<()> {
        let ignored = self.values.keys().find(|name| {
            let known = KNOWN.iter().find(|known| known.name == name.as_str());
            match known {
                Some(known) => !known.platform.eq_ignore_ascii_case(platform),
                None => platform.eq_ignore_ascii_case("cpu"),
            }
        });
        match ignored {
            None => Ok(()),
            Some(name) => Err(Error::UnknownOption {
                name: name.clone(),
                platform: platform.to_owned(),
                known: known_names(platform),
            }),
        }
    }
}

fn known_names(platform: &str) -> String {
    let names = KNOWN
        .iter()
        .filter(|known| known.platform.eq_ignore_ascii_case(platform))
        .map(|known| known.name)
        .collect::<Vec<_>>();
    if names.is_empty() { "none that is known here".to_owned() } else { names.join(", ") }
}

fn check_kind(name: &str, expected: ValueKind, value: &Value) -> Result<()> {
    if value.kind() == expected {
        return Ok(());
    }
    Err(Error::OptionType { name: name.to_owned(), expected, found: value.clone() })
}

struct KnownOption {
    platform: &'static str,
    name: &'static str,
    kind: ValueKind,
}

const fn known(platform: &'static str, name: &'static str, kind: ValueKind) -> KnownOption {
    KnownOption { platform, name, kind }
}

/// Create options of the plugins, from XLA's `pjrt_c_api_cpu_internal.cc` and `pjrt_c_api_gpu_internal.cc`.
const KNOWN: &[KnownOption] = &[
    known("cpu", "cpu_device_count", ValueKind::Int),
    known("cuda", "platform_name", ValueKind::String),
    known("cuda", "allocator", ValueKind::String),
    known("cuda", "memory_fraction", ValueKind::Float),
    known("cuda", "preallocate", ValueKind::Bool),
    known("cuda", "collective_memory_size", ValueKind::Int),
    known("cuda", "visible_devices", ValueKind::Ints),
    known("cuda", "node_id", ValueKind::Int),
    known("cuda", "num_nodes", ValueKind::Int),
    known("cuda", "should_stage_host_to_device_transfers", ValueKind::Bool),
    known("cuda", "abort_collectives_on_failure", ValueKind::Bool),
    known("cuda", "use_tfrt_gpu_client", ValueKind::Bool),
    known("cuda", "enable_mock_nccl", ValueKind::Bool),
    known("cuda", "mock_gpu_topology", ValueKind::String),
    known("cuda", "partition_index", ValueKind::Int),
];

/// Types of the options of [`Topology::create`](crate::Topology::create); the plugins refuse unknown names.
const KNOWN_TOPOLOGY: &[(&str, ValueKind)] = &[
    ("chip_config_name", ValueKind::String),
    ("chips_per_host_bounds", ValueKind::Ints),
    ("wrap", ValueKind::Ints),
    ("num_slices", ValueKind::Int),
    ("target_config", ValueKind::String),
    ("topology", ValueKind::String),
];

/// Checks the types of topology options.
pub(crate) fn check_topology_options(options: &Attributes) -> Result<()> {
    for (name, value) in options {
        if let Some((_, kind)) = KNOWN_TOPOLOGY.iter().find(|(known, _)| known == name) {
            check_kind(name, *kind, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ill_typed_and_out_of_range_options_are_refused() {
        let text = ClientOptions::new().set("cpu_device_count", "8");
        assert!(matches!(text.checked(), Err(Error::OptionType { .. })));
        for count in [0, -1, ClientOptions::MAX_CPU_DEVICES + 1, i64::MAX] {
            let options = ClientOptions::new().cpu_device_count(count);
            assert!(matches!(options.checked(), Err(Error::OptionRange { .. })), "{count}");
        }
        let fraction = ClientOptions::new().set("memory_fraction", f32::NAN);
        assert!(matches!(fraction.checked(), Err(Error::OptionRange { .. })));
        let ordinals = ClientOptions::new().set("visible_devices", 1i64);
        assert!(matches!(ordinals.checked(), Err(Error::OptionType { .. })), "a list, even of one");
        assert!(ClientOptions::new().cpu_device_count(8).checked().is_ok());
    }

    /// Names and types are those of `pjrt_c_api_gpu_internal.cc`, which refuses others.
    #[test]
    fn the_memory_and_the_choice_of_gpus_are_typed_options() {
        let options = ClientOptions::new().gpu_memory_pool(0.5, false).visible_gpus(&[1, 3]);
        let passed = options.checked().unwrap();
        let expected = [
            ("allocator", Value::String("bfc".to_owned())),
            ("memory_fraction", Value::Float(0.5)),
            ("preallocate", Value::Bool(false)),
            ("visible_devices", Value::Ints(vec![1, 3])),
        ];
        assert_eq!(passed.len(), expected.len());
        for (name, value) in expected {
            assert_eq!(passed.get(name), Some(&value), "{name}");
        }
        assert!(options.check_platform("cuda").is_ok());
        assert!(matches!(options.check_platform("cpu"), Err(Error::UnknownOption { .. })));
    }

    #[test]
    fn options_that_the_platform_would_ignore_are_refused() {
        let options = ClientOptions::new().set("cpu_device_cuont", 8i64);
        assert!(options.check_platform("cpu").is_err());
        assert!(options.check_platform("tpu").is_ok(), "other plugins check names themselves");
        let options = ClientOptions::new().cpu_device_count(8);
        assert!(options.check_platform("CPU").is_ok());
        let error = options.check_platform("cuda").unwrap_err().to_string();
        assert!(error.contains("memory_fraction"), "{error}");
    }
}
