//! Which composites are kernels of ours on the CPU.

use std::fmt;
use std::str::FromStr;

use lapidary_lower::Target;
use lapidary_lower::target::{
    ATTENTION, CACHE_WRITE, DECODE_ATTENTION, Kernel, LINEAR, LINEAR_FEW_ROWS, QUANTIZED_LINEAR, ROWS,
};
use lapidary_runtime::kernels::{Features, Instructions};

use super::{EngineError, Placement};

/// A choice of kernels.
///
/// A composite that has none is what the compiler makes of its decomposition, as on every other platform; so is every
/// composite on a mesh of several devices, since a compiler cannot split what it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kernels {
    /// Which of [`NAMES`] are chosen.
    chosen: [bool; NAMES.len()],
}

/// Their names, as they are chosen by.
const NAMES: [&str; 5] = ["linear", "quantized", "attention", "cache", "rows"];

/// Not a choice of kernels.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no kernel: choose `auto` for all, `off` for none, or names out of {names}, separated by commas", names = NAMES.join(", "))]
pub struct UnknownKernel(String);

impl Kernels {
    /// All that there are.
    pub const AUTO: Self = Self { chosen: [true; NAMES.len()] };
    /// None.
    pub const OFF: Self = Self { chosen: [false; NAMES.len()] };

    fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().zip(self.chosen).filter_map(|(name, chosen)| chosen.then_some(name))
    }

    /// The table of the platform that `placement` is on, with these kernels if they are for it; they are then known to
    /// the plugin.
    pub(crate) fn target(self, placement: &Placement) -> Result<Target, EngineError> {
        let platform = placement.client().platform_name();
        let target =
            Target::of_platform(platform).ok_or_else(|| EngineError::Platform(platform.to_string()))?;
        let with_kernels = self.on_this_processor(target);
        // On a mesh nothing is lowered as a call.
        if with_kernels.kernels.is_empty() || placement.devices().len() > 1 {
            return Ok(with_kernels);
        }
        match placement.client().plugin().register_kernels() {
            Ok(()) => Ok(with_kernels),
            // A plugin that takes no custom calls still runs every program.
            Err(error) if error.is_unsupported() => Ok(target.clone()),
            Err(source) => Err(EngineError::Kernels { source: Box::new(source) }),
        }
    }

    /// A platform's table with these kernels, in the forms that are worth it on this machine's processor. Other
    /// platforms than the CPU have none.
    pub fn on_this_processor(self, target: &Target) -> Target {
        if target.name != "cpu" {
            return target.clone();
        }
        let features = Features::detect();
        let (pairs, tiles) = (features.has(Instructions::Avx512Bf16), features.has(Instructions::AmxBf16));
        // Between tiles and plain AVX2 there are products of bf16 pairs, which the compiler has for many rows and we have not.
        let (linear, attention) = match tiles || (features.has(Instructions::Avx2) && !pairs) {
            true => (LINEAR, ATTENTION),
            false => (LINEAR_FEW_ROWS, DECODE_ATTENTION),
        };
        // In the order of their names.
        let all: [&[Kernel]; NAMES.len()] =
            [&[linear], &[QUANTIZED_LINEAR], &[attention], &[CACHE_WRITE], &ROWS];
        let (on, off): (Vec<_>, Vec<_>) = self.chosen.into_iter().zip(all).partition(|(chosen, _)| *chosen);
        let kernels: Vec<Kernel> = on.into_iter().flat_map(|(_, kernels)| kernels).copied().collect();
        let switched_off: Vec<&'static str> =
            off.into_iter().flat_map(|(_, kernels)| kernels).map(|kernel| kernel.composite).collect();
        target.with_kernels(kernels).with_switched_off(switched_off)
    }
}

impl Default for Kernels {
    fn default() -> Self {
        Self::AUTO
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AUTO => f.write_str("auto"),
            Self::OFF => f.write_str("off"),
            some => f.write_str(&some.names().collect::<Vec<_>>().join(",")),
        }
    }
}

impl FromStr for Kernels {
    type Err = UnknownKernel;

    fn from_str(text: &str) -> Result<Self, UnknownKernel> {
        match text {
            "auto" => return Ok(Self::AUTO),
            "off" => return Ok(Self::OFF),
            _ => {}
        }
        let mut kernels = Self::OFF;
        for name in text.split(',').map(str::trim) {
            let mut places = NAMES.into_iter().zip(&mut kernels.chosen);
            match places.find(|(known, _)| *known == name) {
                Some((_, chosen)) => *chosen = true,
                None => return Err(UnknownKernel(name.to_string())),
            }
        }
        Ok(kernels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_it_is_written() {
        for text in ["auto", "off", "linear", "quantized", "attention", "cache", "rows", "linear,attention"] {
            assert_eq!(text.parse::<Kernels>().map(|kernels| kernels.to_string()), Ok(text.to_string()));
        }
        assert_eq!("attention, cache, rows, quantized, linear".parse(), Ok(Kernels::AUTO));
    }

    #[test]
    fn what_is_no_kernel_is_told() {
        let error = "linear,gelu".parse::<Kernels>().map_err(|error| error.to_string());
        let expected = "`gelu` is no kernel: choose `auto` for all, `off` for none, or names out of linear, quantized, \
                        attention, cache, rows, separated by commas";
        assert_eq!(error, Err(expected.to_string()));
    }
}
