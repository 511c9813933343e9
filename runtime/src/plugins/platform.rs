//! The machines that plugins are published for.

use std::fmt;

/// An operating system and processor for which plugin wheels exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux on 64-bit x86.
    LinuxX86_64,
    /// Linux on 64-bit Arm.
    LinuxAarch64,
}

impl Platform {
    /// The platform that this program was built for, or `None` when no plugin exists for it.
    pub fn current() -> Option<Platform> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Some(Platform::LinuxX86_64),
            ("linux", "aarch64") => Some(Platform::LinuxAarch64),
            _ => None,
        }
    }

    /// The machine's number in an ELF header (`e_machine`; System V ABI, processor supplements).
    pub(super) fn elf_machine(self) -> u16 {
        match self {
            Platform::LinuxX86_64 => 62,
            Platform::LinuxAarch64 => 183,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Platform::LinuxX86_64 => "linux-x86_64",
            Platform::LinuxAarch64 => "linux-aarch64",
        })
    }
}
