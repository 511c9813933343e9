//! Cloud TPUs: generations and slices of them.

use std::fmt;

use super::{Hardware, Interconnect, Network, TargetError};

/// A generation of TPUs.
#[derive(PartialEq, Debug)]
pub struct TpuGeneration {
    /// Name in a target and in the TPU plugin: `v5p`.
    pub name: &'static str,
    /// Cores of a chip.
    pub cores_per_chip: usize,
    /// Devices that a chip is, unless its cores are joined otherwise than by default.
    pub devices_per_chip: usize,
    /// Chips of the largest slice.
    pub max_chips: usize,
    /// Most chips in one direction that the compiler takes.
    pub max_extent: usize,
    /// The facts about one chip.
    pub chip: Hardware,
}

/// Cores of a chip as devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChipConfig {
    /// All cores are one device.
    Megacore,
    /// Every core is a device.
    SingleCore,
}

/// Chips of one generation in a box, or several such boxes.
#[derive(Clone, PartialEq, Debug)]
pub struct TpuSlice {
    /// The generation.
    pub generation: &'static TpuGeneration,
    /// Chips in each direction, two or three directions.
    pub extents: Vec<usize>,
    /// How cores are devices, where that can be chosen and was.
    pub chip_config: Option<ChipConfig>,
    /// Slices of this form, joined by the data-centre network.
    pub num_slices: usize,
}

/// f32 operands take six bf16 passes to be exact to f32.
const F32_PASSES: f64 = 6.0;

const fn chip(
    memory_bytes: u64,
    bf16_flops: f64,
    memory_bandwidth: f64,
    interconnect: Interconnect,
    source: &'static str,
) -> Hardware {
    let f32_flops = bf16_flops / F32_PASSES;
    Hardware { memory_bytes, bf16_flops, f32_flops, memory_bandwidth, interconnect, source }
}

const fn ici(axes: u32, link_bandwidth: f64) -> Interconnect {
    Interconnect { name: "ICI", network: Network::Torus { axes }, links: 2 * axes, link_bandwidth }
}

impl TpuGeneration {
    /// Every generation in the table, oldest first.
    ///
    /// Bytes of memory are what libtpu 0.0.52 tells of a device (`device_memory_bytes_limit`), which is what its
    /// compiler makes programs fit into to within 0.01%; the documentation's are rounded.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "v4",
            cores_per_chip: 2,
            devices_per_chip: 1,
            max_chips: 4096,
            max_extent: usize::MAX,
            chip: chip(
                33_014_413_312,
                275e12,
                1.2e12,
                ici(3, 50e9),
                "Cloud TPU documentation, v4 page; links: TPU v4 paper, arXiv:2304.01433",
            ),
        },
        Self {
            name: "v5e",
            cores_per_chip: 1,
            devices_per_chip: 1,
            max_chips: 256,
            // Beyond it, the compiler of libtpu 0.0.52 ends the process.
            max_extent: 16,
            chip: chip(16_909_334_528, 197e12, 819e9, ici(2, 50e9), "Cloud TPU documentation, v5e page"),
        },
        Self {
            name: "v5p",
            cores_per_chip: 2,
            devices_per_chip: 1,
            max_chips: 8960,
            max_extent: usize::MAX,
            chip: chip(102_786_660_352, 459e12, 2.765e12, ici(3, 100e9), "Cloud TPU documentation, v5p page"),
        },
        Self {
            name: "v6e",
            cores_per_chip: 1,
            devices_per_chip: 1,
            max_chips: 256,
            max_extent: usize::MAX,
            chip: chip(33_546_039_296, 918e12, 1.638e12, ici(2, 100e9), "Cloud TPU documentation, v6e page"),
        },
        Self {
            name: "tpu7x",
            cores_per_chip: 2,
            devices_per_chip: 2,
            max_chips: 9216,
            max_extent: usize::MAX,
            chip: chip(
                2 * 101_724_450_816,
                2307e12,
                7.38e12,
                ici(3, 100e9),
                "Cloud TPU documentation, TPU7x page",
            ),
        },
    ];

    /// The generation called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|generation| generation.name == name)
    }

    /// Whether the cores of a chip can be devices of their own or one device, as the target chooses.
    pub fn has_chip_configs(&self) -> bool {
        self.name == "v4"
    }
}

impl TpuSlice {
    /// A single slice with the generation's usual devices.
    ///
    /// # Errors
    /// If there is no such slice.
    pub fn new(generation: &'static TpuGeneration, extents: &[usize]) -> Result<Self, TargetError> {
        let slice = Self { generation, extents: extents.to_vec(), chip_config: None, num_slices: 1 };
        slice.check()?;
        Ok(slice)
    }

    /// Checks the slice's form.
    pub(super) fn check(&self) -> Result<(), TargetError> {
        let topology = self.topology();
        let refuse = |reason: String| Err(TargetError::Topology { topology: topology.clone(), reason });
        if !matches!(self.extents.len(), 2 | 3) {
            return refuse("a topology has two or three extents, such as 2x2x1".into());
        }
        if self.extents.contains(&0) {
            return refuse("every extent is at least 1".into());
        }
        let chips = self.extents.iter().try_fold(1usize, |chips, &extent| chips.checked_mul(extent));
        let TpuGeneration { name, max_chips, max_extent, .. } = self.generation;
        if chips.is_none_or(|chips| chips > *max_chips) {
            return refuse(format!("a {name} slice has at most {max_chips} chips"));
        }
        if self.extents.iter().any(|extent| extent > max_extent) {
            return refuse(format!("a {name} slice has at most {max_extent} chips in one direction"));
        }
        if let Some(extent) = self.extents.iter().take(2).find(|&&extent| extent > 1 && extent % 2 == 1) {
            return refuse(format!("hosts have 2 x 2 chips, which does not divide {extent}"));
        }
        Ok(())
    }

    /// The name that the TPU plugin has for a slice of this form.
    pub fn topology(&self) -> String {
        let extents: Vec<String> = self.extents.iter().map(usize::to_string).collect();
        format!("{}:{}", self.generation.name, extents.join("x"))
    }

    /// Chips of all slices.
    pub fn num_chips(&self) -> usize {
        self.extents.iter().product::<usize>() * self.num_slices
    }

    /// Devices that a chip is.
    pub fn devices_per_chip(&self) -> usize {
        match self.chip_config {
            None => self.generation.devices_per_chip,
            Some(ChipConfig::Megacore) => 1,
            Some(ChipConfig::SingleCore) => self.generation.cores_per_chip,
        }
    }

    /// Devices of all slices.
    pub fn num_devices(&self) -> usize {
        self.num_chips() * self.devices_per_chip()
    }

    /// Machines of all slices: each has two by two chips, or as many of them as the extents leave.
    pub fn num_hosts(&self) -> usize {
        let directions = self.extents.iter().enumerate();
        let hosts = directions.map(|(i, &extent)| if i < 2 { extent.div_ceil(2) } else { extent });
        hosts.product::<usize>() * self.num_slices
    }

    /// The facts about one device: an equal share of its chip.
    pub fn device(&self) -> Hardware {
        let chip = self.generation.chip;
        let devices = self.devices_per_chip();
        let share = devices as f64;
        // Halves of a v4 chip have less than half of what the whole can use: 15.25 of 30.75 GiB.
        let memory_bytes = match self.chip_config {
            Some(ChipConfig::SingleCore) => (61 << 30) / 4,
            Some(ChipConfig::Megacore) | None => chip.memory_bytes / devices as u64,
        };
        let link_bandwidth = chip.interconnect.link_bandwidth / share;
        Hardware {
            memory_bytes,
            bf16_flops: chip.bf16_flops / share,
            f32_flops: chip.f32_flops / share,
            memory_bandwidth: chip.memory_bandwidth / share,
            interconnect: Interconnect { link_bandwidth, ..chip.interconnect },
            source: chip.source,
        }
    }
}

impl fmt::Display for TpuSlice {
    /// As in a target, without `tpu:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topology())?;
        match self.chip_config {
            None => {}
            Some(ChipConfig::Megacore) => f.write_str(",chip_config_name=megacore")?,
            Some(ChipConfig::SingleCore) => f.write_str(",chip_config_name=default")?,
        }
        match self.num_slices {
            1 => Ok(()),
            slices => write!(f, ",num_slices={slices}"),
        }
    }
}
