//! The exact plugin packages that this version of Lapidary installs.
//!
//! A plugin decides the numbers that a model produces and the C structures that we exchange with it, so
//! a version is never chosen at install time: each is pinned here by package version and wheel SHA-256.
//! To move to another version, change the row, then run the runtime's tests against the new plugin.

mod nvidia;

use super::{Platform, PluginKind};

/// A package that holds a PJRT plugin, at the version we install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// The devices it drives.
    pub kind: PluginKind,
    /// The name on the Python package index.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
    /// One sentence for people: what it is, and what else it needs.
    pub description: &'static str,
    /// The plugin's path inside the wheel, and so below `site-packages` where pip installed it.
    pub library: &'static str,
    /// Licence texts inside the wheel, unpacked beside the library.
    pub notices: &'static [&'static str],
    /// The PJRT C API version (major, minor) that the library reports.
    pub pjrt_api: (u32, u32),
    /// The wheels, one for each platform that the package is published for.
    pub wheels: &'static [Wheel],
    /// Packages of the hardware's vendor that the plugin looks for beside itself.
    pub companions: &'static [Companion],
}

/// A package that a plugin needs beside itself, at the version we install.
///
/// Its files are unpacked at the paths that they have below `site-packages`, since that is where the plugin looks,
/// from its own place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Companion {
    /// The name on the Python package index.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
    /// What the plugin cannot do without it.
    pub needed_to: Use,
    /// One line for people: what it is needed for.
    pub reason: &'static str,
    /// The files that are needed, by their paths inside the wheel, which are the same for all platforms. What else
    /// is in the wheel is not unpacked.
    pub files: &'static [&'static str],
    /// Licence texts inside the wheel.
    pub notices: &'static [&'static str],
    /// The wheels, one for each platform of the plugin.
    pub wheels: &'static [Wheel],
}

/// What a plugin is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// To compile for its devices, which need not be here.
    Compile,
    /// To compile and to run programs.
    Run,
}

/// One file of a [`Package`] or a [`Companion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The machine it is for.
    pub platform: Platform,
    /// The file's name.
    pub file: &'static str,
    /// A platform tag of the file's, as pip's `--platform` takes it.
    pub tag: &'static str,
    /// SHA-256 of the file in lower-case hexadecimal.
    pub sha256: &'static str,
    /// The file's size in bytes.
    pub bytes: u64,
}

const PACKAGES: [Package; 3] = [
    Package {
        kind: PluginKind::Cpu,
        name: "xla-cpu-pjrt",
        version: "0.0.1",
        description: "XLA for the host's processors, by the OpenXLA authors. Needs nothing else.",
        library: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
        notices: &[],
        pjrt_api: (0, 81),
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_x86_64.whl",
                tag: "manylinux_2_27_x86_64",
                sha256: "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
                bytes: 63_461_052,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_aarch64.whl",
                tag: "manylinux_2_27_aarch64",
                sha256: "8f613be6e891858f40d64f9799319502fff42689661944fc18a6ffd8210b30c9",
                bytes: 49_514_947,
            },
        ],
        companions: &[],
    },
    Package {
        kind: PluginKind::Tpu,
        name: "libtpu",
        version: "0.0.52",
        description: "Google's TPU runtime and compiler. Compiles for TPUs on any machine; \
                      runs programs on a TPU VM.",
        library: "libtpu/libtpu.so",
        notices: &["libtpu/LICENSE", "libtpu/THIRD_PARTY_NOTICES.txt"],
        pjrt_api: (0, 117),
        wheels: &[Wheel {
            platform: Platform::LinuxX86_64,
            file: "libtpu-0.0.52-cp311-cp311-manylinux_2_31_x86_64.whl",
            tag: "manylinux_2_31_x86_64",
            sha256: "f5e2e596eaea9357fbb5a6755a7a9007c6ab75bfde4a55191b03eff402971140",
            bytes: 137_064_406,
        }],
        companions: &[],
    },
    Package {
        kind: PluginKind::Cuda,
        name: "jax-cuda13-pjrt",
        version: "0.10.2",
        description: "XLA for NVIDIA GPUs. Needs NVIDIA's driver to run programs, and nothing to compile them.",
        library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
        notices: &[],
        pjrt_api: (0, 112),
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "jax_cuda13_pjrt-0.10.2-py3-none-manylinux_2_27_x86_64.whl",
                tag: "manylinux_2_27_x86_64",
                sha256: "a97e9cabe0e21d8dbcc70bd909ca1c34cd546d3ce2d94b4cd907a8d4f6179f6a",
                bytes: 124_395_292,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "jax_cuda13_pjrt-0.10.2-py3-none-manylinux_2_27_aarch64.whl",
                tag: "manylinux_2_27_aarch64",
                sha256: "b28f4940d09405ece084e50c91634f4bb1d43a8497b9d734f40007ee07281aec",
                bytes: 119_860_632,
            },
        ],
        companions: &nvidia::COMPANIONS,
    },
];

impl Package {
    /// The package pinned for `kind`.
    pub fn pinned(kind: PluginKind) -> &'static Package {
        let [cpu, tpu, cuda] = &PACKAGES;
        match kind {
            PluginKind::Cpu => cpu,
            PluginKind::Tpu => tpu,
            PluginKind::Cuda => cuda,
        }
    }

    /// The wheel for a platform, if the package is published for it.
    pub fn wheel(&self, platform: Platform) -> Option<&'static Wheel> {
        wheel_for(self.wheels, platform)
    }

    /// The companions without which the plugin is of no use for this.
    pub fn companions_for(&self, wanted: Use) -> impl Iterator<Item = &'static Companion> {
        self.companions.iter().filter(move |companion| companion.needed_to <= wanted)
    }
}

impl Companion {
    /// The wheel for a platform, if the package is published for it.
    pub fn wheel(&self, platform: Platform) -> Option<&'static Wheel> {
        wheel_for(self.wheels, platform)
    }
}

fn wheel_for(wheels: &'static [Wheel], platform: Platform) -> Option<&'static Wheel> {
    wheels.iter().find(|wheel| wheel.platform == platform)
}

/// A package's name as it begins its `.dist-info` directory: `-` becomes `_`.
pub(super) fn distribution(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Component, Path};

    use super::*;

    fn check_wheels(name: &str, version: &str, wheels: &'static [Wheel]) {
        for wheel in wheels {
            assert_eq!(wheel_for(wheels, wheel.platform), Some(wheel), "one wheel for {}", wheel.platform);
            assert_eq!(wheel.sha256.len(), 64);
            assert!(wheel.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            assert!(wheel.file.starts_with(&format!("{}-{version}-", distribution(name))), "{wheel:?}");
            let tags = wheel.file.strip_suffix(".whl").and_then(|stem| stem.rsplit('-').next());
            assert!(tags.is_some_and(|tags| tags.split('.').any(|tag| tag == wheel.tag)), "{wheel:?}");
        }
    }

    fn stays_inside(member: &str) -> bool {
        Path::new(member).components().all(|part| matches!(part, Component::Normal(_)))
    }

    #[test]
    fn every_row_is_consistent() {
        for kind in PluginKind::ALL {
            let package = Package::pinned(kind);
            assert_eq!(package.kind, kind);
            check_wheels(package.name, package.version, package.wheels);
            assert!(package.notices.iter().chain([&package.library]).all(|member| stays_inside(member)));
            // No file of one package may replace one of another.
            let mut members = BTreeSet::from([package.library]);
            for companion in package.companions {
                check_wheels(companion.name, companion.version, companion.wheels);
                let platforms = companion.wheels.iter().map(|wheel| wheel.platform);
                assert!(platforms.eq(package.wheels.iter().map(|wheel| wheel.platform)), "{companion:?}");
                for member in companion.files.iter().chain(companion.notices) {
                    assert!(stays_inside(member) && members.insert(member), "{member}");
                }
            }
        }
    }

    #[test]
    fn compiling_needs_less_than_running() {
        let names = |wanted| -> Vec<_> {
            let cuda = Package::pinned(PluginKind::Cuda);
            cuda.companions_for(wanted).map(|companion| companion.name).collect()
        };
        assert_eq!(names(Use::Compile), ["nvidia-cuda-nvcc", "nvidia-nvvm"]);
        assert!(names(Use::Run).starts_with(&names(Use::Compile)));
    }
}
