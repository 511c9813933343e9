//! What the processor can do.

use std::fmt;
use std::sync::OnceLock;

/// Instructions that kernels have forms for, of each architecture from the plainest to the most special. A processor that
/// has one need not have those before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Instructions {
    /// What every processor of the architecture has, and what the compiler makes of plain loops.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 with dot products of bf16 pairs (`VDPBF16PS`) and of bytes (`VPDPBUSD`).
    Avx512Bf16,
    /// AMX tiles of bf16 (`TDPBF16PS`) and of bytes (`TDPBSSD`).
    AmxBf16,
    /// NEON, which every processor of aarch64 has: forms that are written for it.
    Neon,
    /// NEON with dot products of bf16 pairs (`BFDOT`).
    NeonBf16,
}

impl Instructions {
    /// All of them.
    pub const ALL: &[Instructions] =
        &[Self::Portable, Self::Avx2, Self::Avx512Bf16, Self::AmxBf16, Self::Neon, Self::NeonBf16];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512Bf16 => "avx512_bf16",
            Self::AmxBf16 => "amx_bf16",
            Self::Neon => "neon",
            Self::NeonBf16 => "neon_bf16",
        }
    }

    /// The bit that stands for them in [`Features`].
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which [`Instructions`] may be used.
///
/// The only ways to make one are [`Features::detect`], which asks the processor, and
/// [`Features::without`], which takes something away: so a kernel may rely on what it finds here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features(u8);

impl Features {
    /// What this processor has and the system lets this process use. Asks once.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Features> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let has = Instructions::ALL.iter().filter(|instructions| processor_has(**instructions));
            Self(has.fold(0, |bits, instructions| bits | instructions.bit()))
        })
    }

    /// The same without some instructions, to compare forms of a kernel. Those that every processor has stay.
    #[must_use]
    pub fn without(self, instructions: Instructions) -> Self {
        match instructions {
            Instructions::Portable => self,
            other => Self(self.0 & !other.bit()),
        }
    }

    /// Whether these may be used.
    pub fn has(self, instructions: Instructions) -> bool {
        self.0 & instructions.bit() != 0
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let special = Instructions::ALL.iter().filter(|i| **i != Instructions::Portable && self.has(**i));
        let names: Vec<&str> = special.map(|i| i.name()).collect();
        f.write_str(if names.is_empty() { Instructions::Portable.name() } else { "" })?;
        f.write_str(&names.join(" "))
    }
}

#[cfg(target_arch = "x86_64")]
fn processor_has(instructions: Instructions) -> bool {
    match instructions {
        Instructions::Portable => true,
        Instructions::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        Instructions::Avx512Bf16 => {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512bf16")
        }
        // The tiles' results are rounded and stored with AVX-512.
        Instructions::AmxBf16 => {
            processor_has(Instructions::Avx512Bf16) && has_amx() && tiles_are_permitted()
        }
        Instructions::Neon | Instructions::NeonBf16 => false,
    }
}

#[cfg(target_arch = "aarch64")]
fn processor_has(instructions: Instructions) -> bool {
    match instructions {
        Instructions::Portable => true,
        Instructions::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        Instructions::NeonBf16 => {
            processor_has(Instructions::Neon) && std::arch::is_aarch64_feature_detected!("bf16")
        }
        Instructions::Avx2 | Instructions::Avx512Bf16 | Instructions::AmxBf16 => false,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn processor_has(instructions: Instructions) -> bool {
    instructions == Instructions::Portable
}

/// CPUID leaf 7, subleaf 0: EDX bits 22 (AMX-BF16), 24 (AMX-TILE) and 25 (AMX-INT8), which come together so far.
#[cfg(target_arch = "x86_64")]
fn has_amx() -> bool {
    let leaves = std::arch::x86_64::__cpuid(0).eax;
    let amx = (1 << 22) | (1 << 24) | (1 << 25);
    leaves >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & amx == amx
}

/// Asks the system for the tiles' state, which it does not keep for processes that have not asked.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn tiles_are_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: takes two numbers and touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn tiles_are_permitted() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_is_gone_and_nothing_else() {
        let all = Features::detect();
        for taken in Instructions::ALL {
            for other in Instructions::ALL {
                let kept = other != taken || *taken == Instructions::Portable;
                assert_eq!(all.without(*taken).has(*other), kept && all.has(*other), "{taken:?} {other:?}");
            }
        }
    }

    #[test]
    fn features_have_the_names_of_their_instructions() {
        let none = Instructions::ALL.iter().fold(Features::detect(), |left, each| left.without(*each));
        assert_eq!(none.to_string(), "portable");
        let neon = Features(none.0 | Instructions::Neon.bit() | Instructions::NeonBf16.bit());
        assert_eq!(neon.to_string(), "neon neon_bf16");
    }

    /// An emulator has all that it can emulate; `-cpu` takes some away.
    #[test]
    #[cfg(target_arch = "aarch64")]
    fn every_processor_of_aarch64_has_neon() {
        assert!(Features::detect().has(Instructions::Neon));
    }
}
