//! NVIDIA GPUs.

use super::{Hardware, Interconnect, Network};

/// An NVIDIA GPU.
#[derive(PartialEq, Debug)]
pub struct Gpu {
    /// Name in a target: `h100`.
    pub name: &'static str,
    /// NVIDIA's name.
    pub title: &'static str,
    /// The facts about one.
    pub hardware: Hardware,
}

impl Gpu {
    /// Most GPUs of one machine, which is as far as their interconnect reaches.
    pub const MAX_COUNT: usize = 8;

    /// Every GPU in the table.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "a100-40gb",
            title: "A100 SXM4 40GB",
            hardware: Hardware { memory_bytes: 42_331_013_120, memory_bandwidth: 1.555e12, ..A100_80GB },
        },
        Self { name: "a100-80gb", title: "A100 SXM4 80GB", hardware: A100_80GB },
        Self { name: "h100", title: "H100 SXM5 80GB", hardware: H100 },
        Self {
            name: "h200",
            title: "H200 SXM 141GB",
            hardware: Hardware {
                memory_bytes: 143_771 << 20,
                memory_bandwidth: 4.8e12,
                source: "NVIDIA H200 datasheet; memory as nvidia-smi reports it",
                ..H100
            },
        },
        Self {
            name: "b200",
            title: "B200 SXM",
            hardware: Hardware {
                memory_bytes: 191_514_411_008,
                bf16_flops: 2250e12,
                f32_flops: 75e12,
                memory_bandwidth: 7.672e12,
                interconnect: nvlink(18, 50e9),
                source: "NVIDIA Blackwell datasheet (HGX B200), a GPU; memory as in XLA's target config",
            },
        },
        Self {
            name: "l4",
            title: "L4 24GB",
            hardware: Hardware {
                memory_bytes: 23_034 << 20,
                bf16_flops: 121e12,
                f32_flops: 30.3e12,
                memory_bandwidth: 300e9,
                // No NVLink: sixteen lanes of PCIe 4.0.
                interconnect: Interconnect {
                    name: "PCIe 4.0",
                    network: Network::Switch,
                    links: 1,
                    link_bandwidth: 32e9,
                },
                source: "NVIDIA L4 datasheet, dense rates; memory as nvidia-smi reports it",
            },
        },
    ];

    /// The GPU that a plugin calls `kind`, such as `NVIDIA A100-SXM4-80GB`; `None` for one that the table lacks.
    pub fn of_kind(kind: &str) -> Option<&'static Self> {
        let kind = kind.to_ascii_lowercase();
        let mut words = kind.split(|c: char| !c.is_ascii_alphanumeric());
        // One name has two sizes of memory.
        let memory = if kind.contains("80gb") { "a100-80gb" } else { "a100-40gb" };
        words.find_map(|word| Self::named(if word == "a100" { memory } else { word }))
    }

    /// The GPU called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|gpu| gpu.name == name)
    }
}

const A100_80GB: Hardware = Hardware {
    memory_bytes: 85_100_068_864,
    bf16_flops: 312e12,
    f32_flops: 19.5e12,
    memory_bandwidth: 2.039e12,
    interconnect: nvlink(12, 25e9),
    source: "NVIDIA A100 datasheet; memory as in XLA's target config",
};

const H100: Hardware = Hardware {
    memory_bytes: 84_942_979_072,
    // The datasheet's rates count zeros of a sparse operand; dense products run at half of them.
    bf16_flops: 989.4e12,
    f32_flops: 67e12,
    memory_bandwidth: 3.352e12,
    interconnect: nvlink(18, 25e9),
    source: "NVIDIA H100 datasheet, dense rates; memory as in XLA's target config",
};

const fn nvlink(links: u32, link_bandwidth: f64) -> Interconnect {
    Interconnect { name: "NVLink", network: Network::Switch, links, link_bandwidth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_known_by_what_the_driver_calls_them() {
        for (kind, name) in [
            ("NVIDIA H100 80GB HBM3", Some("h100")),
            ("NVIDIA H200", Some("h200")),
            ("NVIDIA A100-SXM4-80GB", Some("a100-80gb")),
            ("NVIDIA A100-SXM4-40GB", Some("a100-40gb")),
            ("NVIDIA L4", Some("l4")),
            ("NVIDIA B200", Some("b200")),
            ("NVIDIA L40S", None),
            ("NVIDIA GeForce RTX 4090", None),
            ("cpu", None),
        ] {
            assert_eq!(Gpu::of_kind(kind).map(|gpu| gpu.name), name, "{kind}");
        }
    }
}
