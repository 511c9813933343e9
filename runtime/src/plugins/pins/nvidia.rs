//! NVIDIA's packages beside the CUDA plugin.
//!
//! The smallest set, found by what the plugin opens. It is linked against none of NVIDIA's libraries and opens each by
//! name when it first needs it, along its own `RPATH`, which leads to `../../nvidia`: cudart, cuBLAS, cuBLASLt, cuDNN,
//! nvrtc, NCCL; and for what no program of ours asks for cuFFT (Fourier transforms), CUPTI (profiling) and NVSHMEM
//! (another way of collectives), which are left out. `jax[cuda13]` also brings cuSOLVER, cuSPARSE and nvJitLink, which
//! JAX itself opens and this plugin does not. Of each wheel only those files are kept that the plugin, or another of
//! them, opens.

use super::{Companion, Use, Wheel};
use crate::plugins::Platform;

pub(super) const COMPANIONS: [Companion; 7] = [
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
    Companion {
        name: "nvidia-cuda-runtime",
        version: "13.5.37",
        needed_to: Use::Run,
        reason: "cudart, which XLA's own kernels are started with",
        files: &["nvidia/cu13/lib/libcudart.so.13"],
        notices: &["nvidia_cuda_runtime-13.5.37.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                tag: "manylinux_2_17_x86_64",
                sha256: "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
                bytes: 2_504_024,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                tag: "manylinux_2_17_aarch64",
                sha256: "de2dc5a7367974228b0a69588a9acc9340d3768bef1bf38bf0801eb08497cd2d",
                bytes: 2_520_010,
            },
        ],
    },
    Companion {
        name: "nvidia-cublas",
        version: "13.10.0.20",
        needed_to: Use::Run,
        reason: "cuBLAS, for products of matrices",
        files: &["nvidia/cu13/lib/libcublas.so.13", "nvidia/cu13/lib/libcublasLt.so.13"],
        notices: &["nvidia_cublas-13.10.0.20.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_cublas-13.10.0.20-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
                tag: "manylinux_2_5_x86_64",
                sha256: "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84",
                bytes: 444_289_903,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_cublas-13.10.0.20-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                tag: "manylinux_2_17_aarch64",
                sha256: "c5f3418c0a845232a8cabc58f6fa52cfae7d8bd3680d94c3907aca710fd48d70",
                bytes: 560_089_875,
            },
        ],
    },
    Companion {
        name: "nvidia-cudnn-cu13",
        version: "9.28.0.42",
        needed_to: Use::Run,
        reason: "cuDNN, which XLA weighs for products and attention",
        files: &[
            "nvidia/cudnn/lib/libcudnn.so.9",
            "nvidia/cudnn/lib/libcudnn_graph.so.9",
            "nvidia/cudnn/lib/libcudnn_ops.so.9",
            "nvidia/cudnn/lib/libcudnn_cnn.so.9",
            "nvidia/cudnn/lib/libcudnn_adv.so.9",
            "nvidia/cudnn/lib/libcudnn_ext.so.9",
            "nvidia/cudnn/lib/libcudnn_heuristic.so.9",
            "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
            "nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9",
            "nvidia/cudnn/lib/libcudnn_engines_tensor_ir.so.9",
        ],
        notices: &["nvidia_cudnn_cu13-9.28.0.42.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_cudnn_cu13-9.28.0.42-py3-none-manylinux_2_27_x86_64.whl",
                tag: "manylinux_2_27_x86_64",
                sha256: "7358353c75bb121a58e5f7712fe6d588883dc1df8ba00f428237e44e97543c4d",
                bytes: 516_782_127,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_cudnn_cu13-9.28.0.42-py3-none-manylinux_2_27_aarch64.whl",
                tag: "manylinux_2_27_aarch64",
                sha256: "97c70c7fe0ea32e97fcd0b40157915d27f0d1e238479e537e81b12ed3c8f17ae",
                bytes: 597_093_622,
            },
        ],
    },
    Companion {
        name: "nvidia-cuda-nvrtc",
        version: "13.5.37",
        needed_to: Use::Run,
        reason: "nvrtc, with which cuBLAS and cuDNN compile kernels of their own",
        files: &["nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvrtc-builtins.so.13.5"],
        notices: &["nvidia_cuda_nvrtc-13.5.37.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
                tag: "manylinux_2_12_x86_64",
                sha256: "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc",
                bytes: 58_185_930,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                tag: "manylinux_2_17_aarch64",
                sha256: "36e4fa2a8ada293f5693d308e531c196ab6f91cf7a0ff479bf96a537d43a6096",
                bytes: 56_419_462,
            },
        ],
    },
    Companion {
        name: "nvidia-nccl-cu13",
        version: "2.32.3",
        needed_to: Use::Run,
        reason: "NCCL, for collectives between several GPUs",
        files: &["nvidia/nccl/lib/libnccl.so.2"],
        notices: &["nvidia_nccl_cu13-2.32.3.dist-info/licenses/License.txt"],
        wheels: &[
            Wheel {
                platform: Platform::LinuxX86_64,
                file: "nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_x86_64.whl",
                tag: "manylinux_2_27_x86_64",
                sha256: "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3",
                bytes: 305_100_071,
            },
            Wheel {
                platform: Platform::LinuxAarch64,
                file: "nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_aarch64.whl",
                tag: "manylinux_2_27_aarch64",
                sha256: "a5bee92b2f4af218c109f8d221c3c9adcc752b94ae0ffcb0ed5abf9341a7724c",
                bytes: 305_107_282,
            },
        ],
    },
];
