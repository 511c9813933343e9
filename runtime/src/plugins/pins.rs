//! The exact plugin packages that this version of Lapidary installs.
//!
//! A plugin decides the numbers that a model produces and the C structures that we exchange with it, so
//! a version is never chosen at install time: each is pinned here by package version and wheel SHA-256.
//! To move to another version, change the row, then run the runtime's tests against the new plugin.

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
}

/// One file of a [`Package`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The machine it is for.
    pub platform: Platform,
    /// The file's name.
    pub file: &'static str,
    /// The platform tag, as pip's `--platform` takes it.
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
    },
    Package {
        kind: PluginKind::Cuda,
        name: "jax-cuda13-pjrt",
        version: "0.10.2",
        description: "XLA for NVIDIA GPUs. Only the plugin itself: the CUDA 13 libraries that it loads \
                      (what `pip install jax[cuda13]` brings) are not installed by Lapidary yet.",
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
        self.wheels.iter().find(|wheel| wheel.platform == platform)
    }

    /// The package's name as it begins its `.dist-info` directory: `-` becomes `_`.
    pub(super) fn distribution(&self) -> String {
        self.name.replace('-', "_")
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;

    #[test]
    fn every_row_is_consistent() {
        for kind in PluginKind::ALL {
            let package = Package::pinned(kind);
            assert_eq!(package.kind, kind);
            for member in package.notices.iter().chain([&package.library]) {
                assert!(
                    Path::new(member).components().all(|part| matches!(part, Component::Normal(_))),
                    "{member} must stay inside the directory it is unpacked into"
                );
            }
            for wheel in package.wheels {
                assert_eq!(package.wheel(wheel.platform), Some(wheel), "one wheel for {}", wheel.platform);
                assert_eq!(wheel.sha256.len(), 64);
                assert!(wheel.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
                assert!(wheel.file.starts_with(&format!("{}-{}-", package.distribution(), package.version)));
                assert!(wheel.file.ends_with(&format!("-{}.whl", wheel.tag)));
            }
        }
    }
}
