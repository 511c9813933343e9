//! Targets by name.

use std::fmt;
use std::str::FromStr;

use lapidary_lower::{Mesh, Target, target};

use super::{ChipConfig, Gpu, Hardware, TargetError, TpuGeneration, TpuSlice};

/// Devices to plan or compile for, which need not be here.
#[derive(Clone, PartialEq, Debug)]
pub enum TargetSpec {
    /// The processors of some machine, as however many devices a mesh has.
    Cpu,
    /// TPU chips.
    Tpu(TpuSlice),
    /// NVIDIA GPUs of one machine.
    Cuda {
        /// Which.
        gpu: &'static Gpu,
        /// How many.
        count: usize,
    },
}

impl TargetSpec {
    /// Name of the platform, as its PJRT plugin reports it.
    pub fn platform(&self) -> &'static str {
        self.lowering().name
    }

    /// What lowering knows about the platform.
    pub fn lowering(&self) -> &'static Target {
        match self {
            Self::Cpu => &target::CPU,
            Self::Tpu(_) => &target::TPU,
            Self::Cuda { .. } => &target::CUDA,
        }
    }

    /// Number of devices; `None` where it is as many as a mesh has.
    pub fn num_devices(&self) -> Option<usize> {
        match self {
            Self::Cpu => None,
            Self::Tpu(slice) => Some(slice.num_devices()),
            Self::Cuda { count, .. } => Some(*count),
        }
    }

    /// The facts about one device; `None` where they depend on the machine.
    pub fn hardware(&self) -> Option<Hardware> {
        match self {
            Self::Cpu => None,
            Self::Tpu(slice) => Some(slice.device()),
            Self::Cuda { gpu, .. } => Some(gpu.hardware),
        }
    }

    /// Checks that a mesh has as many devices as the target.
    ///
    /// # Errors
    /// [`TargetError::MeshSize`].
    pub fn check_mesh(&self, mesh: &Mesh) -> Result<(), TargetError> {
        match self.num_devices().filter(|&devices| devices != mesh.num_devices()) {
            None => Ok(()),
            Some(devices) => {
                Err(TargetError::MeshSize { mesh: mesh.clone(), target: self.to_string(), devices })
            }
        }
    }
}

impl fmt::Display for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Tpu(slice) => write!(f, "tpu:{slice}"),
            Self::Cuda { gpu, count: 1 } => write!(f, "cuda:{}", gpu.name),
            Self::Cuda { gpu, count } => write!(f, "cuda:{}:{count}", gpu.name),
        }
    }
}

impl FromStr for TargetSpec {
    type Err = TargetError;

    /// Reads `cpu`, `tpu:v5p:2x2x1`, `tpu:v4:2x2x1,chip_config_name=default,num_slices=2`, `cuda:h100` or
    /// `cuda:h100:4`.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (platform, rest) = match text.split_once(':') {
            Some((platform, rest)) => (platform, Some(rest)),
            None => (text, None),
        };
        match (platform, rest) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cpu", Some(rest)) => Err(TargetError::Cpu(rest.to_string())),
            ("tpu", rest) => tpu(rest.unwrap_or_default()).map(Self::Tpu),
            ("cuda", rest) => cuda(rest.unwrap_or_default()),
            (platform, _) => Err(TargetError::Platform(platform.to_string())),
        }
    }
}

fn tpu(text: &str) -> Result<TpuSlice, TargetError> {
    let mut parts = text.split(',');
    let form = parts.next().unwrap_or_default();
    let (name, topology) = form.split_once(':').unwrap_or((form, ""));
    let generation = TpuGeneration::named(name).ok_or_else(|| TargetError::Generation(name.to_string()))?;
    if topology.is_empty() {
        return Err(TargetError::NoTopology(name.to_string()));
    }
    let extents: Result<Vec<usize>, _> = topology.split('x').map(str::parse).collect();
    let extents = extents.map_err(|_| TargetError::TopologySyntax(topology.to_string()))?;
    let mut slice = TpuSlice::new(generation, &extents)?;
    for option in parts {
        set_option(&mut slice, option)?;
    }
    Ok(slice)
}

/// Most slices that are worth counting: their devices are numbered with 32 bits.
const MAX_SLICES: usize = 1 << 10;

fn set_option(slice: &mut TpuSlice, option: &str) -> Result<(), TargetError> {
    let has_chip_configs = slice.generation.has_chip_configs();
    match option.split_once('=') {
        Some(("chip_config_name", "megacore")) if has_chip_configs => {
            slice.chip_config = Some(ChipConfig::Megacore);
        }
        Some(("chip_config_name", "default")) if has_chip_configs => {
            slice.chip_config = Some(ChipConfig::SingleCore);
        }
        Some(("num_slices", value)) if value.parse().is_ok_and(|n| (1..=MAX_SLICES).contains(&n)) => {
            slice.num_slices = value.parse().unwrap_or(1);
        }
        _ => {
            let mut known = format!("num_slices=N, from 1 to {MAX_SLICES}");
            if has_chip_configs {
                known.insert_str(0, "chip_config_name=megacore (which is the default) or default; ");
            }
            return Err(TargetError::Option { option: option.to_string(), target: slice.topology(), known });
        }
    }
    Ok(())
}

fn cuda(text: &str) -> Result<TargetSpec, TargetError> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    let gpu = Gpu::named(name).ok_or_else(|| TargetError::Gpu(name.to_string()))?;
    let count = match count {
        None => 1,
        Some(text) => {
            let count = text.parse().ok().filter(|count| (1..=Gpu::MAX_COUNT).contains(count));
            count.ok_or_else(|| TargetError::GpuCount { count: text.to_string() })?
        }
    };
    Ok(TargetSpec::Cuda { gpu, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> TargetSpec {
        text.parse().unwrap()
    }

    #[test]
    fn a_target_survives_its_text() {
        for text in [
            "cpu",
            "tpu:v5p:2x2x1",
            "tpu:v5e:2x4",
            "tpu:v4:16x16x16",
            "tpu:v4:2x2x1,chip_config_name=default,num_slices=2",
            "tpu:tpu7x:2x2x1",
            "cuda:h100",
            "cuda:a100-80gb:4",
        ] {
            assert_eq!(spec(text).to_string(), text);
        }
        assert_eq!(spec("cuda:l4:1").to_string(), "cuda:l4");
    }

    /// As libtpu 0.0.52 counts them.
    #[test]
    fn topologies_have_the_devices_and_hosts_that_the_plugin_gives_them() {
        for (text, devices, hosts) in [
            ("v4:2x2x1", 4, 1),
            ("v4:2x2x1,chip_config_name=default", 8, 1),
            ("v4:16x16x16", 4096, 1024),
            ("v5p:1x1x1", 1, 1),
            ("v5p:1x2x1", 2, 1),
            ("v5p:2x2x1", 4, 1),
            ("v5p:4x1x1", 4, 2),
            ("v5p:2x2x3", 12, 3),
            ("v5p:4x4", 16, 4),
            ("v5p:16x16x24", 6144, 1536),
            ("v5p:16x20x28", 8960, 2240),
            ("v5e:2x4", 8, 2),
            ("v5e:16x16", 256, 64),
            ("v6e:8x1", 8, 4),
            ("tpu7x:4x4x4", 128, 16),
        ] {
            let TargetSpec::Tpu(slice) = spec(&format!("tpu:{text}")) else { panic!("{text}") };
            assert_eq!((slice.num_devices(), slice.num_hosts()), (devices, hosts), "{text}");
        }
        assert_eq!(spec("tpu:v5p:2x2x1,num_slices=3").num_devices(), Some(12));
    }

    #[test]
    fn a_device_has_its_share_of_the_chip() {
        let whole = spec("tpu:v4:2x2x1").hardware().unwrap();
        let half = spec("tpu:v4:2x2x1,chip_config_name=default").hardware().unwrap();
        assert_eq!((whole.bf16_flops, half.bf16_flops), (275e12, 137.5e12));
        // "exceeds available HBM (15.25G)", in libtpu's words.
        assert_eq!(half.memory_bytes, 15 * (1 << 30) + (1 << 28));
        assert_eq!(spec("tpu:tpu7x:2x2x1").hardware().unwrap().memory_bytes, 101_724_450_816);
        assert_eq!(spec("cpu").hardware(), None);
    }

    #[test]
    fn a_mesh_has_as_many_devices_as_the_target() {
        let check = |target: &str, mesh: &str| spec(target).check_mesh(&mesh.parse().unwrap());
        assert_eq!(check("tpu:v5p:2x2x1", "model=4"), Ok(()));
        assert_eq!(check("cpu", "data=3,model=5"), Ok(()));
        assert_eq!(
            check("tpu:v5p:2x2x2", "model=4").unwrap_err().to_string(),
            "the mesh model=4 has 4 devices, but the target tpu:v5p:2x2x2 has 8: give axes whose sizes multiply \
             to 8, such as model=8, or another target"
        );
        let single = spec("cuda:h100:2").check_mesh(&Mesh::default()).unwrap_err().to_string();
        assert!(single.starts_with("the mesh is one device, but the target cuda:h100:2 has 2:"), "{single}");
    }

    #[test]
    fn what_does_not_exist_is_refused_by_name() {
        for (text, part) in [
            ("", "no platform is called ``"),
            ("gpu:h100", "cuda:h100"),
            ("cpu:4", "as many devices as the mesh"),
            ("tpu", "no TPU generation is called ``; known: v4, v5e"),
            ("tpu:v99:2x2", "no TPU generation is called `v99`; known: v4, v5e"),
            ("tpu:v5p", "such as tpu:v5p:2x2"),
            ("tpu:v5p:2by2", "`2by2` is not a topology"),
            ("tpu:v5p:2x-2", "`2x-2` is not a topology"),
            ("tpu:v5p:4", "two or three extents"),
            ("tpu:v5p:2x2x1x1", "two or three extents"),
            ("tpu:v5p:0x1x1", "at least 1"),
            ("tpu:v5p:3x2x1", "does not divide 3"),
            ("tpu:v5p:32x32x32", "at most 8960 chips"),
            ("tpu:v5p:4294967296x4294967296x4294967296", "at most 8960 chips"),
            ("tpu:v5e:8x32", "at most 16 chips in one direction"),
            ("tpu:v5p:2x2x1,wrap=1", "`wrap=1` is not an option of v5p:2x2x1: num_slices=N"),
            ("tpu:v5p:2x2x1,chip_config_name=megacore", "is not an option of v5p:2x2x1"),
            ("tpu:v4:2x2x1,num_slices=0", "chip_config_name=megacore"),
            ("cuda", "no GPU is called ``; known: a100-40gb"),
            ("cuda:h1000", "known: a100-40gb, a100-80gb, h100"),
            ("cuda:h100:0", "`0` is not a number of GPUs: give 1 to 8"),
            ("cuda:h100:9", "`9` is not a number of GPUs"),
        ] {
            let message = text.parse::<TargetSpec>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
