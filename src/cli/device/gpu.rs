//! Which NVIDIA GPUs a client touches, and how much of their memory it takes.

use anyhow::{Result, bail};
use clap::Args;
use lapidary::runtime::ClientOptions;
use lapidary::runtime::plugins::PluginKind;

/// Most of a GPU's memory that is taken unless another share is asked for. XLA's own default of 0.75 leaves 27B in
/// bf16 no room for its cache on an 80 GB card; what is beyond 0.95 goes to CUDA's context, its libraries and code.
const DEFAULT_FRACTION: f32 = 0.95;

/// How the memory of NVIDIA GPUs is taken.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct GpuMemoryArgs {
    /// Most of an NVIDIA GPU's memory to take, as a share above 0 and up to 1; default: 0.95.
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = fraction)]
    pub gpu_memory_fraction: Option<f32>,

    /// Take that memory at the start, rather than as it is needed.
    #[arg(long)]
    pub gpu_preallocate: bool,
}

fn fraction(text: &str) -> Result<f32, String> {
    let fraction = text.parse::<f32>().ok().filter(|&fraction| fraction > 0.0 && fraction <= 1.0);
    fraction.ok_or_else(|| "give a share above 0 and up to 1, such as 0.5".to_owned())
}

impl GpuMemoryArgs {
    /// Refuses what would have no effect on a device of `kind`.
    ///
    /// # Errors
    /// If something is asked of GPUs, and the device is none.
    pub fn check(self, kind: PluginKind) -> Result<()> {
        let asked = match self {
            Self { gpu_memory_fraction: Some(_), .. } => "--gpu-memory-fraction",
            Self { gpu_preallocate: true, .. } => "--gpu-preallocate",
            Self { gpu_memory_fraction: None, gpu_preallocate: false } => return Ok(()),
        };
        match kind {
            PluginKind::Cuda => Ok(()),
            PluginKind::Cpu | PluginKind::Tpu => bail!(
                "{asked} is about the memory of NVIDIA GPUs, but the device is {kind}: leave it out, or add --device \
                 cuda"
            ),
        }
    }

    /// Options of a client that takes memory in this way, on all GPUs.
    pub fn memory_pool(self) -> ClientOptions {
        let fraction = self.gpu_memory_fraction.unwrap_or(DEFAULT_FRACTION);
        ClientOptions::new().gpu_memory_pool(fraction, self.gpu_preallocate)
    }

    /// Options of a client for a mesh of `devices` GPUs, or for the GPU that is the host's number `ordinal`. Without a
    /// mesh no other GPU is touched.
    ///
    /// # Errors
    /// If a single GPU is to hold a mesh of several.
    pub fn client_options(self, ordinal: Option<u32>, devices: usize) -> Result<ClientOptions> {
        let options = self.memory_pool();
        match (ordinal, devices) {
            (None, 0 | 1) => Ok(options.visible_gpus(&[0])),
            (None, _) => Ok(options),
            (Some(ordinal), 0 | 1) => Ok(options.visible_gpus(&[ordinal.into()])),
            (Some(ordinal), devices) => bail!(
                "--device cuda:{ordinal} is one GPU, but the mesh takes {devices}: give --device cuda, and choose among \
                 this machine's GPUs with CUDA_VISIBLE_DEVICES"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gpu_is_touched_without_a_mesh_and_memory_is_taken_as_needed() {
        let pool = ClientOptions::new().gpu_memory_pool(0.95, false);
        let options = |ordinal, devices| GpuMemoryArgs::default().client_options(ordinal, devices).unwrap();
        assert_eq!(options(None, 1), pool.clone().visible_gpus(&[0]));
        assert_eq!(options(Some(3), 1), pool.clone().visible_gpus(&[3]));
        assert_eq!(options(None, 4), pool);
        let asked = GpuMemoryArgs { gpu_memory_fraction: Some(0.5), gpu_preallocate: true };
        let options = asked.client_options(None, 2).unwrap();
        assert_eq!(options, ClientOptions::new().gpu_memory_pool(0.5, true));
        let error = asked.client_options(Some(1), 2).unwrap_err().to_string();
        assert!(error.contains("cuda:1 is one GPU, but the mesh takes 2"), "{error}");
    }

    #[test]
    fn other_devices_have_no_such_memory() {
        let preallocated = GpuMemoryArgs { gpu_memory_fraction: None, gpu_preallocate: true };
        let fraction = GpuMemoryArgs { gpu_memory_fraction: Some(0.5), gpu_preallocate: false };
        for kind in [PluginKind::Cpu, PluginKind::Tpu] {
            assert!(GpuMemoryArgs::default().check(kind).is_ok());
            let error = fraction.check(kind).unwrap_err().to_string();
            assert!(error.contains("--gpu-memory-fraction") && error.contains(kind.name()), "{error}");
            assert!(preallocated.check(kind).unwrap_err().to_string().contains("--gpu-preallocate"));
        }
        assert!(fraction.check(PluginKind::Cuda).is_ok());
    }

    #[test]
    fn a_fraction_is_above_nothing_and_not_above_all() {
        assert_eq!(fraction("0.5"), Ok(0.5));
        assert_eq!(fraction("1"), Ok(1.0));
        for text in ["0", "-0.1", "1.01", "nan", "inf", "half", ""] {
            assert!(fraction(text).is_err(), "{text}");
        }
    }
}
