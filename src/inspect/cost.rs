//! What some instructions cost together.

use lapidary_hlo::{InstructionCost, Module, Opcode, Report, Roofline};
use serde::Serialize;

use crate::plan::Bound;
use crate::target::TargetSpec;

/// What some instructions cost together, all runs included.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Cost {
    /// How many times an instruction runs.
    pub instructions: u64,
    /// Bytes to and from HBM.
    pub bytes: u64,
    /// Those of them that are read.
    pub read_bytes: u64,
    /// Those that are written.
    pub written_bytes: u64,
    /// Operations of matrix products.
    pub matrix_flops: u64,
    /// Bytes sent to other devices.
    pub sent_bytes: u64,
    /// Estimated time; `None` if the rates are not known.
    pub time: Option<Time>,
}

/// Estimated time, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Time {
    /// The estimate: each instruction takes as long as the longest of the three.
    pub seconds: f64,
    /// Of instructions that the matrix units hold up longest.
    pub compute_s: f64,
    /// Of those that HBM holds up longest.
    pub memory_s: f64,
    /// Of those that the interconnect holds up longest.
    pub interconnect_s: f64,
}

/// A cost with a name.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NamedCost {
    /// Of what: a group of model paths, or an operation.
    pub name: String,
    /// What it costs.
    #[serde(flatten)]
    pub cost: Cost,
    /// Bytes of the parameters that it reads, each once; `None` where there is no ideal.
    pub ideal_bytes: Option<u64>,
}

impl Cost {
    pub(super) fn add(&mut self, cost: &InstructionCost, rates: Option<&Roofline>) {
        let traffic = cost.traffic * cost.times;
        self.instructions = self.instructions.saturating_add(cost.times);
        self.bytes = self.bytes.saturating_add(traffic.bytes());
        self.read_bytes = self.read_bytes.saturating_add(traffic.read);
        self.written_bytes = self.written_bytes.saturating_add(traffic.written);
        self.matrix_flops = self.matrix_flops.saturating_add((cost.flops * cost.times).dot);
        self.sent_bytes = self.sent_bytes.saturating_add(cost.sent_bytes.saturating_mul(cost.times));
        if let Some(rates) = rates {
            self.time.get_or_insert_default().add(rates.seconds(cost));
        }
    }
}

impl Time {
    fn add(&mut self, [compute, memory, interconnect]: [f64; 3]) {
        let seconds = compute.max(memory).max(interconnect);
        self.seconds += seconds;
        if seconds == memory {
            self.memory_s += seconds;
        } else if seconds == compute {
            self.compute_s += seconds;
        } else {
            self.interconnect_s += seconds;
        }
    }

    /// What holds most of it up.
    pub fn bound(&self) -> Bound {
        if self.memory_s >= self.compute_s && self.memory_s >= self.interconnect_s {
            Bound::Memory
        } else if self.compute_s >= self.interconnect_s {
            Bound::Compute
        } else {
            Bound::Interconnect
        }
    }
}

/// Sums costs by a name, in the order in which the names come up; what has none does not count.
pub(super) fn sum_by(
    costs: &[InstructionCost],
    rates: Option<&Roofline>,
    name: impl Fn(&InstructionCost) -> Option<String>,
) -> Vec<NamedCost> {
    let mut sums = Vec::new();
    for cost in costs {
        if let Some(name) = name(cost) {
            named(&mut sums, &name).cost.add(cost, rates);
        }
    }
    sums
}

/// Adds to the ideal of a name, which comes to be if it is not there.
pub(super) fn add_ideal(sums: &mut Vec<NamedCost>, name: &str, bytes: u64) {
    let ideal = &mut named(sums, name).ideal_bytes;
    *ideal = Some(ideal.unwrap_or(0).saturating_add(bytes));
}

fn named<'s>(sums: &'s mut Vec<NamedCost>, name: &str) -> &'s mut NamedCost {
    let index = sums.iter().position(|sum| sum.name == name).unwrap_or_else(|| {
        sums.push(NamedCost { name: name.to_string(), cost: Cost::default(), ideal_bytes: None });
        sums.len() - 1
    });
    &mut sums[index]
}

/// The rates of a target's device for a program; `None` if they depend on the machine.
pub(super) fn roofline(target: &TargetSpec, module: &Module, report: &Report) -> Option<Roofline> {
    let hardware = target.hardware()?;
    let devices = report.collectives.iter().filter_map(|collective| collective.group_size).max().unwrap_or(1);
    let devices = usize::try_from(devices).unwrap_or(usize::MAX);
    Some(Roofline {
        flops_per_second: match multiplies_f32(module) {
            true => hardware.f32_flops,
            false => hardware.bf16_flops,
        },
        hbm_bytes_per_second: hardware.memory_bandwidth,
        link_bytes_per_second: hardware.interconnect.collective_bandwidth(devices),
    })
}

/// Whether most bytes of the parameters are f32, which are then multiplied as such.
fn multiplies_f32(module: &Module) -> bool {
    let parameters = module.entry().instructions().map(|(_, instruction)| instruction);
    let arrays = parameters.filter(|i| i.opcode == Opcode::Parameter).flat_map(|i| i.shape.arrays());
    let (wide, all) = arrays.fold((0_u64, 0_u64), |(wide, all), array| {
        let bytes = array.bytes();
        let is_wide = array.element_type.name() == "f32";
        (wide.saturating_add(if is_wide { bytes } else { 0 }), all.saturating_add(bytes))
    });
    wide > all / 2
}
