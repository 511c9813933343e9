//! The targets that there are, to show.

use serde::Serialize;

use super::{Gpu, Hardware, TargetSpec, TpuGeneration, TpuSlice};

/// One row of the catalogue: a chip, and how to name targets made of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CatalogueEntry {
    /// Platform.
    pub platform: &'static str,
    /// Name of the chip within the platform; empty for the CPU.
    pub chip: &'static str,
    /// A target to begin with.
    pub example: String,
    /// Chips of the largest target.
    pub max_chips: Option<usize>,
    /// Devices that a chip is.
    pub devices_per_chip: Option<usize>,
    /// Bytes of memory that a program can have on one device.
    pub memory_bytes: Option<u64>,
    /// Peak rate of dense bf16 matrix products on one device, in flop/s.
    pub bf16_flops: Option<f64>,
    /// Peak rate of matrix products exact to f32 on one device, in flop/s.
    pub f32_flops: Option<f64>,
    /// Peak bandwidth of one device's memory, in bytes/s.
    pub memory_bandwidth: Option<f64>,
    /// Name of the interconnect.
    pub interconnect: Option<&'static str>,
    /// Links of one device.
    pub links: Option<u32>,
    /// Links of one device on one axis of the network.
    pub links_per_axis: Option<u32>,
    /// Bandwidth of one link in one direction, in bytes/s.
    pub link_bandwidth: Option<f64>,
    /// Where the figures come from.
    pub source: &'static str,
}

/// Every chip that there is a target of.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let cpu = CatalogueEntry {
        platform: TargetSpec::Cpu.platform(),
        chip: "",
        example: TargetSpec::Cpu.to_string(),
        max_chips: None,
        devices_per_chip: None,
        memory_bytes: None,
        bf16_flops: None,
        f32_flops: None,
        memory_bandwidth: None,
        interconnect: None,
        links: None,
        links_per_axis: None,
        link_bandwidth: None,
        source: "depends on the machine",
    };
    let tpus = TpuGeneration::ALL.iter().map(|generation| {
        let extents: &[usize] = if generation.chip.interconnect.links == 4 { &[2, 2] } else { &[2, 2, 1] };
        let slice = TpuSlice { generation, extents: extents.to_vec(), chip_config: None, num_slices: 1 };
        let devices_per_chip = slice.devices_per_chip();
        entry(TargetSpec::Tpu(slice), generation.name, generation.max_chips, devices_per_chip)
    });
    let gpus =
        Gpu::ALL.iter().map(|gpu| entry(TargetSpec::Cuda { gpu, count: 1 }, gpu.name, Gpu::MAX_COUNT, 1));
    std::iter::once(cpu).chain(tpus).chain(gpus).collect()
}

fn entry(spec: TargetSpec, chip: &'static str, max_chips: usize, devices_per_chip: usize) -> CatalogueEntry {
    let hardware = spec.hardware();
    let fact = |fact: fn(&Hardware) -> f64| hardware.as_ref().map(fact);
    CatalogueEntry {
        platform: spec.platform(),
        chip,
        example: spec.to_string(),
        max_chips: Some(max_chips),
        devices_per_chip: Some(devices_per_chip),
        memory_bytes: hardware.map(|hardware| hardware.memory_bytes),
        bf16_flops: fact(|hardware| hardware.bf16_flops),
        f32_flops: fact(|hardware| hardware.f32_flops),
        memory_bandwidth: fact(|hardware| hardware.memory_bandwidth),
        interconnect: hardware.map(|hardware| hardware.interconnect.name),
        links: hardware.map(|hardware| hardware.interconnect.links),
        links_per_axis: hardware.map(|hardware| hardware.interconnect.links_per_axis()),
        link_bandwidth: fact(|hardware| hardware.interconnect.link_bandwidth),
        source: hardware.map_or("", |hardware| hardware.source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_target() {
        for entry in catalogue() {
            let spec: TargetSpec = entry.example.parse().unwrap();
            assert_eq!(spec.hardware().map(|hardware| hardware.memory_bytes), entry.memory_bytes);
            assert_eq!(spec.platform(), entry.platform);
        }
    }
}
