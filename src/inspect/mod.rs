//! What a compiler made of a program: memory, HBM traffic and flops against their ideals, collectives, and an estimate
//! of the time, by parts of the model.
//!
//! The costs come from [`lapidary_hlo`], which reads optimized HLO; here they meet the target's rates, the mesh, and
//! the names that this package's programs give to layers and parameters. Programs of others are read too, with less to
//! say about them.
//!
//! Before a compiler: which composites of a program are lowered as calls of kernels ([`inspect_lowering`]).

mod against_plan;
mod caveats;
mod collectives;
mod composites;
mod cost;
mod error;
pub mod format;
pub mod html;
mod ideal;
mod layers;
mod memory;
mod open;
mod parameters;
mod window;

use std::cmp::Reverse;
use std::path::PathBuf;

use lapidary_hlo::{
    COPIES, MemorySpaces, MeshShape, Module, Parameter, Report, ReportOptions, Roofline, StepEstimate,
    Temporary, UNATTRIBUTED,
};
use lapidary_lower::Mesh;
use serde::{Serialize, Serializer};

pub use against_plan::{Figure, PlannedProgram, Quantity, Unit};
pub use collectives::CollectiveSummary;
pub use composites::{CompositeCount, LoweredProgram, inspect_lowering};
pub use cost::{Cost, NamedCost, Time};
pub use error::InspectError;
pub use layers::{LayerCollective, LayerCost, Part, PartCost};
pub use memory::{ProgramMemory, TemporariesSource};
pub use open::{CompiledProgram, find};

use crate::target::TargetSpec;

/// What a program is inspected for, where the bundle that it is in does not say or is to be overruled.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// The devices that it was compiled for. Without them there is no estimate of the time, and memory spaces mean
    /// what they mean on TPUs.
    pub target: Option<TargetSpec>,
    /// The mesh that it was partitioned for, to name the axes of collectives.
    pub mesh: Option<Mesh>,
    /// How many of the largest temporaries and copies to list.
    pub largest: usize,
}

/// A compiled program, all figures for one run on one device.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Inspection {
    /// Its name.
    pub name: String,
    /// The file that was read.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// Whether it is a schedule, as what compilers hand out in the end is.
    pub is_scheduled: bool,
    /// The target; `None` if nobody said.
    pub target: Option<String>,
    /// The mesh; `None` for one device, or if nobody said.
    pub mesh: Option<String>,
    /// Memory by kind.
    pub memory: ProgramMemory,
    /// HBM traffic.
    pub traffic: TrafficTotal,
    /// Operations.
    pub flops: FlopsTotal,
    /// Bytes sent to other devices, over rings.
    pub sent_bytes: u64,
    /// Estimated time; `None` without a target whose rates are known.
    pub estimate: Option<StepEstimate>,
    /// The rates that it was estimated with.
    pub rates: Option<Roofline>,
    /// By model path, the largest traffic first.
    pub by_path: Vec<NamedCost>,
    /// By operation, the largest traffic first. There is no ideal of an operation.
    pub by_operation: Vec<NamedCost>,
    /// By layer. Empty if the program does not name layers, or runs them as a loop.
    pub layers: Vec<LayerCost>,
    /// Collectives of a kind, by where they come from.
    pub collectives: Vec<CollectiveSummary>,
    /// The largest values that are neither parameters nor updates of them.
    pub temporaries: Vec<Temporary>,
    /// The copies and changes of layout that move most.
    pub copies: Vec<CopyCost>,
    /// What the program is given.
    pub parameters: Vec<Parameter>,
    /// What to know before the figures are trusted.
    pub caveats: Vec<String>,
}

/// HBM traffic of a program.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct TrafficTotal {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Both.
    pub bytes: u64,
    /// Bytes of all parameters: weights, KV cache and inputs, each read once.
    pub ideal_bytes: u64,
    /// What is moved over what would be ideal; `None` if a program has no parameters.
    pub ratio: Option<f64>,
    /// Bytes that the run before loads into on-chip memory, to be had by this one. They count in `read_bytes` once.
    pub prefetched_bytes: u64,
}

/// Operations of a program.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct FlopsTotal {
    /// Of matrix products.
    pub matrix: u64,
    /// On elements.
    pub elementwise: u64,
    /// Matrix products that the model asks for; `None` if the parameters do not tell.
    pub ideal_matrix: Option<u64>,
    /// `matrix` over `ideal_matrix`.
    pub ratio: Option<f64>,
}

/// A copy that the model did not ask for, or a change of layout.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CopyCost {
    /// Name of the instruction.
    pub name: String,
    /// Its operation.
    pub operation: String,
    /// Its type, without the layout.
    pub shape: String,
    /// Where in the model it comes from, if that is known.
    pub path: Option<String>,
    /// How often it runs.
    pub times: u64,
    /// Bytes to and from HBM, of all runs.
    pub bytes: u64,
}

/// Reads a program and says what it costs.
///
/// # Errors
/// If its file cannot be read or holds no HLO, or mesh and target do not go together.
pub fn inspect(program: &CompiledProgram, options: &InspectOptions) -> Result<Inspection, InspectError> {
    let target = options.target.as_ref().or(program.target.as_ref());
    let mesh = options.mesh.as_ref().or(program.mesh.as_ref()).filter(|mesh| mesh.num_devices() > 1);
    if let (Some(target), Some(mesh)) = (target, mesh) {
        target.check_mesh(mesh)?;
    }
    let module = open::read(&program.file)?;
    let mut report_options = ReportOptions {
        memory_spaces: match target {
            Some(TargetSpec::Cpu | TargetSpec::Cuda { .. }) => MemorySpaces::Uniform,
            Some(TargetSpec::Tpu(_)) | None => MemorySpaces::Tpu,
        },
        mesh: mesh.map(|mesh| MeshShape::new(mesh.axes().iter().map(|(n, size)| (n.as_str(), *size as u64)))),
        largest: options.largest,
        ..ReportOptions::default()
    };
    let mut report = Report::of(&module, &report_options);
    if let Some(roofline) = target.and_then(|target| cost::roofline(target, &module, &report)) {
        report_options.roofline = Some(roofline);
        report = Report::of(&module, &report_options);
    }
    Ok(put_together(program, (target, mesh), &module, report, &report_options))
}

fn put_together(
    program: &CompiledProgram,
    (target, mesh): (Option<&TargetSpec>, Option<&Mesh>),
    module: &Module,
    report: Report,
    options: &ReportOptions,
) -> Inspection {
    let rates = options.roofline;
    let ideal_bytes = report.parameters.iter().map(|p| p.bytes).fold(0, u64::saturating_add);
    let ideal_matrix = ideal::matrix_flops(module);
    let moved = report.traffic.bytes();
    let mut by_path = cost::sum_by(&report.instructions, rates.as_ref(), |cost| Some(cost.group.clone()));
    for parameter in &report.parameters {
        let path = parameter.path.as_deref();
        let group = path.map_or_else(|| UNATTRIBUTED.to_string(), |path| options.groups.group(path));
        cost::add_ideal(&mut by_path, &group, parameter.bytes);
    }
    // Nothing that is ideal is a copy.
    cost::add_ideal(&mut by_path, COPIES, 0);
    by_path.sort_by_key(|each| Reverse(each.cost.bytes));
    let mut by_operation =
        cost::sum_by(&report.instructions, rates.as_ref(), |cost| Some(cost.operation.clone()));
    by_operation.sort_by_key(|each| Reverse(each.cost.bytes));
    Inspection {
        name: program.name.clone().unwrap_or_else(|| report.module.clone()),
        file: program.file.clone(),
        is_scheduled: report.is_scheduled,
        target: target.map(ToString::to_string),
        mesh: mesh.map(ToString::to_string),
        memory: ProgramMemory::of(module, &report, program.memory, target),
        traffic: TrafficTotal {
            read_bytes: report.traffic.read,
            written_bytes: report.traffic.written,
            bytes: moved,
            ideal_bytes,
            ratio: ratio(moved, ideal_bytes),
            prefetched_bytes: report.prefetched_bytes,
        },
        flops: FlopsTotal {
            matrix: report.flops.dot,
            elementwise: report.flops.elementwise,
            ideal_matrix,
            ratio: ideal_matrix.and_then(|ideal| ratio(report.flops.dot, ideal)),
        },
        sent_bytes: report.sent_bytes,
        estimate: report.estimate,
        rates,
        by_path,
        by_operation,
        layers: layers::of(&report, rates.as_ref()),
        collectives: collectives::summaries(&report.collectives, &options.groups),
        caveats: caveats::of(&report, target, options, ideal_matrix),
        copies: report.copies.iter().map(CopyCost::of).collect(),
        temporaries: report.temporaries,
        parameters: report.parameters,
    }
}

impl CopyCost {
    fn of(cost: &lapidary_hlo::InstructionCost) -> Self {
        Self {
            name: cost.name.clone(),
            operation: cost.operation.clone(),
            shape: cost.shape.clone(),
            path: cost.path.clone(),
            times: cost.times,
            bytes: (cost.traffic * cost.times).bytes(),
        }
    }
}

fn ratio(actual: u64, ideal: u64) -> Option<f64> {
    (ideal > 0).then(|| actual as f64 / ideal as f64)
}

/// JSON is UTF-8 and paths need not be: U+FFFD stands for what is not.
fn path_as_text<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
