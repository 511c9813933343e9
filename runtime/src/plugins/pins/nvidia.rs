//! NVIDIA's packages beside the CUDA plugin.
//!
//! The smallest set, found by what the plugin opens: it is linked against none of NVIDIA's libraries and opens each
//! by its name when it first needs it, along its own `RPATH`, which leads to `../../nvidia`. Of each wheel only those
//! files are kept that the plugin, or another of them, opens.

use super::{Companion, Use, Wheel};
use crate::plugins::Platform;

pub(super) const COMPANIONS: [Companion; 2] = [
    Companion {
        name: "nvidia-cuda-nvcc",
        version: "13.5.37",
        needed_to: Use::Compile,
        reason: "ptxas, which turns XLA's PTX into machine code",
        files: &["nvidia/cu13/bin/ptxas"],
        notices: &["nvidia_cuda_nvcc-13.5.37.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_cuda_nvcc-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                tag: "manylinux_2_17_x86_64",
                sha256: "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7",
                bytes: 47_028_279,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_cuda_nvcc-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                tag: "manylinux_2_17_aarch64",
                sha256: "588eda18eb5076ae859fe272844b526459228af22df0b117f54eec3aa82bc9c8",
                bytes: 40_745_418,
            },
        ],
    },
    Companion {
        name: "nvidia-nvvm",
        version: "13.5.37",
        needed_to: Use::Compile,
        reason: "libdevice, the mathematical functions that XLA's code calls",
        files: &["nvidia/cu13/nvvm/libdevice/libdevice.10.bc"],
        notices: &["nvidia_nvvm-13.5.37.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_nvvm-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
                tag: "manylinux_2_12_x86_64",
                sha256: "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070",
                bytes: 75_141_406,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_nvvm-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                tag: "manylinux_2_17_aarch64",
                sha256: "b659bd3115b7ac7ec8931e67d0e2c0dd09cd35b08a6a7372df6f8f22c67da80a",
                bytes: 71_213_582,
            },
        ],
    },
];
