//! What a program costs, as plain data.

mod build;
mod entry;
mod prefetch;

use serde::Serialize;

use crate::attribution::Groups;
use crate::collectives::{Collective, MeshShape};
use crate::estimate::{Roofline, StepEstimate};
use crate::execution::UnknownLoop;
use crate::flops::Flops;
use crate::memory::Temporary;
use crate::module::Module;
use crate::traffic::{MemorySpaces, Traffic};

/// Group of copies and changes of layout, wherever they come from; loads into on-chip memory are none.
pub const COPIES: &str = "copies";

/// Group of what comes from no known place.
pub const UNATTRIBUTED: &str = "unattributed";

/// What to assume about the machine, and how to group.
#[derive(Clone, PartialEq, Debug)]
pub struct ReportOptions {
    /// What memory spaces mean on the platform that the program is for.
    pub memory_spaces: MemorySpaces,
    /// How model paths are folded into groups.
    pub groups: Groups,
    /// The mesh that the program was partitioned for, to name the axes of collectives.
    pub mesh: Option<MeshShape>,
    /// What the device can do, for an estimate of the time.
    pub roofline: Option<Roofline>,
    /// How many of the largest temporaries and copies to list.
    pub largest: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            memory_spaces: MemorySpaces::default(),
            groups: Groups::transformer(),
            mesh: None,
            roofline: None,
            largest: 16,
        }
    }
}

/// What one run of a program costs on one device.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Name of the module.
    pub module: String,
    /// Whether the text is a schedule. If not, copies into on-chip memory are not there yet, and neither is the
    /// order.
    pub is_scheduled: bool,
    /// Bytes to and from HBM.
    pub traffic: Traffic,
    /// Operations.
    pub flops: Flops,
    /// Bytes sent to other devices, over rings.
    pub sent_bytes: u64,
    /// What the program is given: weights, inputs and state, in the order of its parameters. A program that reads
    /// every weight and every state once reads at least the sum of theirs.
    pub parameters: Vec<Parameter>,
    /// What the program returns.
    pub results: Vec<ProgramResult>,
    /// Most bytes of HBM that temporaries take at any time of the schedule, results and the gaps that an allocator
    /// leaves not included.
    pub temporary_peak_bytes: u64,
    /// By group of model paths, the largest traffic first.
    pub by_group: Vec<Share>,
    /// By operation, the largest traffic first.
    pub by_operation: Vec<Share>,
    /// Every instruction that costs anything, in the order of the schedule, callees first.
    pub instructions: Vec<InstructionCost>,
    /// Every collective, in the order of the schedule.
    pub collectives: Vec<Collective>,
    /// The largest values that are neither parameters nor updates of them.
    pub temporaries: Vec<Temporary>,
    /// The copies and changes of layout that move most in all.
    pub copies: Vec<InstructionCost>,
    /// Bytes that are read into on-chip memory before the program starts, by the run before it.
    pub prefetched_bytes: u64,
    /// Loops that count once because nothing says how often they run; the figures are too small by the rest.
    pub unknown_loops: Vec<UnknownLoop>,
    /// Custom calls, of which only operands and results are known.
    pub opaque_calls: Vec<String>,
    /// Estimated time, if a roofline was given.
    pub estimate: Option<StepEstimate>,
}

/// A parameter of the program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Parameter {
    /// Its name in the program that was compiled, such as `model.layers.0.mlp.up_proj.weight`.
    pub name: String,
    /// Where in the model most of it is read; if that is not known, what its name says.
    pub path: Option<String>,
    /// Its type, without the layout.
    pub shape: String,
    /// Bytes in HBM, padding of the layout included.
    pub bytes: u64,
    /// Whether a result takes over its memory, as that of donated state.
    pub is_donated: bool,
    /// Bytes that instructions outside of loops read of it.
    pub read_bytes: u64,
}

/// A result of the program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ProgramResult {
    /// Its type, without the layout.
    pub shape: String,
    /// Bytes in HBM, padding of the layout included.
    pub bytes: u64,
    /// Whether it takes over the memory of a donated parameter.
    pub is_donated: bool,
}

/// What some instructions cost together, all runs included.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Share {
    /// Name of the group or operation.
    pub name: String,
    /// How many times such an instruction runs.
    pub times: u64,
    /// Bytes to and from HBM.
    pub traffic: Traffic,
    /// Operations.
    pub flops: Flops,
    /// Bytes sent to other devices.
    pub sent_bytes: u64,
}

/// What one run of an instruction costs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InstructionCost {
    /// Its name.
    pub name: String,
    /// Its computation.
    pub computation: String,
    /// Its operation; of a fusion also the most costly one in it: `fusion(convolution)`.
    pub operation: String,
    /// Its type, without layouts.
    pub shape: String,
    /// Where in the model it comes from, if that is known.
    pub path: Option<String>,
    /// Group of the path, or [`COPIES`], or [`UNATTRIBUTED`].
    pub group: String,
    /// How often it runs.
    pub times: u64,
    /// Bytes to and from HBM.
    pub traffic: Traffic,
    /// Operations.
    pub flops: Flops,
    /// Bytes sent to other devices.
    pub sent_bytes: u64,
    /// The compiler's own estimate in cycles, if it made one: a figure to compare instructions by, no more.
    pub estimated_cycles: Option<u64>,
}

impl Report {
    /// What a program costs.
    pub fn of(module: &Module, options: &ReportOptions) -> Self {
        build::report(module, options)
    }

    /// The share of a group; nothing if no instruction belongs to it.
    pub fn group(&self, name: &str) -> Option<&Share> {
        self.by_group.iter().find(|share| share.name == name)
    }
}
