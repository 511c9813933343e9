//! This machine's processor, which the CPU's compiler makes code for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Fields of `/proc/cpuinfo` that tell one microarchitecture from another: those of x86, then those of Arm. The
/// others number the cores or change from moment to moment.
const TELLING_FIELDS: [&str; 12] = [
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "flags",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "Features",
];

/// Fields that name a processor, the most readable first.
const NAME_FIELDS: [&str; 2] = ["model name", "CPU part"];
/// Fields that list instruction sets and other features.
const FEATURE_FIELDS: [&str; 2] = ["flags", "Features"];

/// A processor that code is compiled for, or that is to run it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Processor {
    /// `x86_64` or `aarch64`.
    pub architecture: String,
    /// What it calls itself.
    pub name: String,
    /// Instruction sets and other features, by the kernel's names, that all cores have.
    pub features: BTreeSet<String>,
}

/// Why nothing is known of the processor.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// The file that tells of it cannot be read.
    #[error("/proc/cpuinfo cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It says nothing of it.
    #[error("/proc/cpuinfo does not describe it")]
    NotDescribed,
}

impl Processor {
    /// This machine's.
    ///
    /// # Errors
    /// If the system does not describe it.
    pub fn here() -> Result<Self, ProcessorError> {
        Self::of_cpuinfo(&cpuinfo()?).ok_or(ProcessorError::NotDescribed)
    }

    fn of_cpuinfo(cpuinfo: &str) -> Option<Self> {
        let fields = || cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let named = |name: &str| fields().find(|(field, _)| field.trim() == name);
        let name = NAME_FIELDS.into_iter().find_map(named).map_or("unknown", |(_, value)| value.trim());
        let of_cores = fields().filter(|(field, _)| FEATURE_FIELDS.contains(&field.trim()));
        let of_cores = of_cores.map(|(_, value)| value.split_whitespace().collect::<BTreeSet<_>>());
        let features = of_cores.reduce(|all, core| &all & &core)?;
        Some(Self {
            architecture: std::env::consts::ARCH.to_owned(),
            name: name.to_owned(),
            features: features.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// All that tells this processor from others, as part of a key.
pub(super) fn telling_lines() -> Result<String, ProcessorError> {
    let found = telling_lines_of(&cpuinfo()?);
    if found.is_empty() { Err(ProcessorError::NotDescribed) } else { Ok(found) }
}

/// The telling lines of `/proc/cpuinfo`, each once: cores of one kind say the same.
fn telling_lines_of(cpuinfo: &str) -> String {
    let telling = cpuinfo.lines().filter(|line| {
        let field = line.split(':').next().unwrap_or_default().trim();
        TELLING_FIELDS.contains(&field)
    });
    telling.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

fn cpuinfo() -> std::io::Result<String> {
    std::fs::read_to_string("/proc/cpuinfo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_told_by_what_its_cores_have_in_common() {
        let core = |number: u32, speed: &str| {
            format!("processor\t: {number}\nmodel\t\t: 143\ncpu MHz\t\t: {speed}\nflags\t\t: fpu avx2\n\n")
        };
        let (one, two) = (core(0, "2000.1"), core(1, "3100.7"));
        assert_eq!(telling_lines_of(&one), "flags\t\t: fpu avx2\nmodel\t\t: 143");
        assert_eq!(telling_lines_of(&[one.clone(), two].concat()), telling_lines_of(&one));
        let other = one.replace("avx2", "avx2 avx512f");
        assert_ne!(telling_lines_of(&other), telling_lines_of(&one));
        assert_ne!(
            telling_lines_of(&[one.clone(), other].concat()),
            telling_lines_of(&one),
            "cores of two kinds"
        );
        assert_eq!(telling_lines_of("processor : 0\n"), "");
    }

    #[test]
    fn a_processor_has_the_features_that_all_cores_have() {
        let x86 = "model name\t: Some Core\nflags\t: fpu avx2 avx512f\n\nmodel name\t: Some Core\nflags\t: avx2 fpu\n";
        let processor = Processor::of_cpuinfo(x86).unwrap();
        assert_eq!(processor.name, "Some Core");
        assert_eq!(processor.features.iter().collect::<Vec<_>>(), ["avx2", "fpu"]);
        let arm = "CPU part\t: 0xd4f\nFeatures\t: fp asimd\n";
        assert_eq!(
            Processor::of_cpuinfo(arm).map(|arm| (arm.name, arm.features.len())),
            Some(("0xd4f".to_owned(), 2))
        );
        assert_eq!(Processor::of_cpuinfo("processor : 0\n"), None);
    }
}
