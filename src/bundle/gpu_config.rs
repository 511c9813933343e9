//! What XLA's GPU compiler must know of a GPU that is not here.

use crate::target::Gpu;

/// Facts about a GPU that its compiler's choices depend on.
struct Facts {
    /// Name of the GPU in a target.
    name: &'static str,
    compute_capability: (u32, u32),
    /// Whether code may use what the very generation has, and no later one.
    accelerated: bool,
    /// Streaming multiprocessors.
    cores: u32,
    /// f32 units of each.
    fpus_per_core: u32,
    threads_per_core: u32,
    shared_memory_per_core: u32,
    /// The most that one block can ask for.
    shared_memory_per_block: u32,
    l2_cache_bytes: u64,
    clock_ghz: f64,
}

/// From the target configs in XLA's sources (`xla/backends/gpu/target_config/specs`), and for L4, which is not
/// among them, from NVIDIA's Ada architecture paper and the table of compute capability 8.9 in the CUDA programming
/// guide.
const FACTS: [Facts; 6] = [
    Facts { name: "a100-40gb", ..A100 },
    Facts { name: "a100-80gb", ..A100 },
    Facts { name: "h100", ..H100 },
    Facts { name: "h200", ..H100 },
    Facts {
        name: "b200",
        compute_capability: (10, 0),
        cores: 148,
        l2_cache_bytes: 132_644_864,
        clock_ghz: 1.965,
        ..H100
    },
    Facts {
        name: "l4",
        compute_capability: (8, 9),
        accelerated: false,
        cores: 58,
        fpus_per_core: 128,
        threads_per_core: 1536,
        shared_memory_per_core: 100 << 10,
        shared_memory_per_block: 99 << 10,
        l2_cache_bytes: 48 << 20,
        clock_ghz: 2.04,
    },
];

const A100: Facts = Facts {
    name: "",
    compute_capability: (8, 0),
    accelerated: false,
    cores: 108,
    fpus_per_core: 64,
    threads_per_core: 2048,
    shared_memory_per_core: 164 << 10,
    shared_memory_per_block: 163 << 10,
    l2_cache_bytes: 40 << 20,
    clock_ghz: 1.41,
};

const H100: Facts = Facts {
    name: "",
    compute_capability: (9, 0),
    accelerated: true,
    cores: 132,
    fpus_per_core: 128,
    threads_per_core: 2048,
    shared_memory_per_core: 228 << 10,
    shared_memory_per_block: 227 << 10,
    l2_cache_bytes: 50 << 20,
    clock_ghz: 1.98,
};

/// The `GpuTargetConfigProto` of a GPU as text; `None` for one whose facts are not known here.
pub(super) fn target_config(gpu: &Gpu) -> Option<String> {
    let facts = FACTS.iter().find(|facts| facts.name == gpu.name)?;
    let (major, minor) = facts.compute_capability;
    let features = if facts.accelerated { "ACCELERATED_FEATURES" } else { "NONE" };
    Some(format!(
        "gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {shared_memory_per_core}
  shared_memory_per_block_optin: {shared_memory_per_block}
  threads_per_core_limit: {threads_per_core}
  core_count: {cores}
  fpus_per_core: {fpus_per_core}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  memory_bandwidth: {memory_bandwidth}
  l2_cache_size: {l2_cache_bytes}
  clock_rate_ghz: {clock_ghz}
  device_memory_size: {memory_bytes}
  cuda_compute_capability {{ major: {major} minor: {minor} feature_extension: {features} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: \"CUDA\"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: \"NVIDIA {title}\"
",
        shared_memory_per_core = facts.shared_memory_per_core,
        shared_memory_per_block = facts.shared_memory_per_block,
        threads_per_core = facts.threads_per_core,
        cores = facts.cores,
        fpus_per_core = facts.fpus_per_core,
        memory_bandwidth = gpu.hardware.memory_bandwidth as u64,
        l2_cache_bytes = facts.l2_cache_bytes,
        clock_ghz = facts.clock_ghz,
        memory_bytes = gpu.hardware.memory_bytes,
        title = gpu.title,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gpu_of_the_table_can_be_compiled_for() {
        for gpu in Gpu::ALL {
            let config = target_config(gpu).unwrap_or_else(|| panic!("{}", gpu.name));
            assert!(config.contains(gpu.title), "{config}");
        }
    }

    #[test]
    fn an_h100_is_as_xla_describes_it() {
        let config = target_config(Gpu::named("h100").unwrap()).unwrap();
        for line in [
            "shared_memory_per_core: 233472",
            "shared_memory_per_block_optin: 232448",
            "core_count: 132",
            "memory_bandwidth: 3352000000000",
            "l2_cache_size: 52428800",
            "clock_rate_ghz: 1.98",
            "device_memory_size: 84942979072",
            "cuda_compute_capability { major: 9 minor: 0 feature_extension: ACCELERATED_FEATURES }",
        ] {
            assert!(config.contains(line), "{line}: {config}");
        }
    }
}
