//! Targets that do not exist.

use lapidary_lower::Mesh;

use super::{Gpu, TpuGeneration};

/// Why there is no such target.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TargetError {
    /// No platform of this name.
    #[error(
        "no platform is called `{0}`: a target is cpu, tpu:v5p:2x2x1 or cuda:h100; `lapidary targets` lists them"
    )]
    Platform(String),
    /// More than the platform takes.
    #[error("the target `cpu` takes nothing more, but `{0}` follows it: it has as many devices as the mesh")]
    Cpu(String),
    /// No TPU of this name.
    #[error("no TPU generation is called `{0}`; known: {known}", known = generations())]
    Generation(String),
    /// A generation alone.
    #[error("the target `tpu:{0}` needs a topology: chips in each direction, such as tpu:{0}:2x2")]
    NoTopology(String),
    /// A topology that is no list of numbers.
    #[error("`{0}` is not a topology: write chips in each direction, such as 2x2x1 or 4x4")]
    TopologySyntax(String),
    /// A topology that no slice has.
    #[error("there is no TPU slice {topology}: {reason}")]
    Topology {
        /// The topology, with its generation.
        topology: String,
        /// Why not.
        reason: String,
    },
    /// An option that no slice has, or with no such value.
    #[error("`{option}` is not an option of {target}: {known}")]
    Option {
        /// The option, with its value.
        option: String,
        /// What it stands behind.
        target: String,
        /// Those that there are.
        known: String,
    },
    /// No GPU of this name.
    #[error("no GPU is called `{0}`; known: {known}", known = gpus())]
    Gpu(String),
    /// A number of GPUs that no machine has.
    #[error("`{count}` is not a number of GPUs: give 1 to {max}, such as cuda:h100:4", max = Gpu::MAX_COUNT)]
    GpuCount {
        /// What was given.
        count: String,
    },
    /// A mesh of more or fewer devices than the target has.
    #[error(
        "{} but the target {target} has {devices}: give axes whose sizes multiply to {devices}, such as \
         model={devices}, or another target",
        mesh_size(mesh)
    )]
    MeshSize {
        /// The mesh.
        mesh: Mesh,
        /// The target.
        target: String,
        /// Its devices.
        devices: usize,
    },
}

fn mesh_size(mesh: &Mesh) -> String {
    match mesh.num_devices() {
        1 => "the mesh is one device,".to_string(),
        devices => format!("the mesh {mesh} has {devices} devices,"),
    }
}

fn generations() -> String {
    let names: Vec<&str> = TpuGeneration::ALL.iter().map(|generation| generation.name).collect();
    names.join(", ")
}

fn gpus() -> String {
    Gpu::ALL.iter().map(|gpu| gpu.name).collect::<Vec<_>>().join(", ")
}
