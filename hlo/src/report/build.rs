//! Puts a report together.

use super::entry::{self, ParameterReads};
use super::{COPIES, InstructionCost, Report, ReportOptions, Share, UNATTRIBUTED, prefetch};
use crate::attributes::Called;
use crate::attribution;
use crate::collectives::Collective;
use crate::copies::Copies;
use crate::estimate::StepEstimate;
use crate::execution::Execution;
use crate::flops::{Flops, FlopsModel};
use crate::liveness;
use crate::memory::{self, Temporary};
use crate::module::{Computation, ComputationId, Instruction, Module};
use crate::opcode::Opcode;
use crate::traffic::{Fusions, Traffic, TrafficModel};

/// The models of a module's costs, and what was found so far.
struct Builder<'m> {
    module: &'m Module,
    options: &'m ReportOptions,
    fusions: &'m Fusions,
    traffic: TrafficModel<'m>,
    flops: FlopsModel,
    copies: Copies,
    reads: ParameterReads,
    report: Report,
}

pub(super) fn report(module: &Module, options: &ReportOptions) -> Report {
    let fusions = Fusions::of_module(module);
    let mut builder = Builder {
        module,
        options,
        fusions: &fusions,
        traffic: TrafficModel::new(module, &fusions, options.memory_spaces),
        flops: FlopsModel::new(module),
        copies: Copies::of_module(module),
        reads: ParameterReads::default(),
        report: empty(module),
    };
    let execution = Execution::of(module, |id| builder.own_bytes_moved(id));
    for (id, computation) in module.computations() {
        match execution.times(id) {
            0 => {}
            times => builder.add_computation(id, computation, times),
        }
    }
    builder.report.parameters = entry::parameters(module, &builder.traffic, &builder.reads);
    builder.report.results = entry::results(module, &builder.traffic);
    builder.report.temporary_peak_bytes = liveness::peak_bytes(module, &fusions, &builder.traffic);
    builder.report.unknown_loops = execution.unknown_loops;
    builder.finish()
}

fn empty(module: &Module) -> Report {
    Report {
        module: module.name.clone(),
        is_scheduled: module.is_scheduled,
        traffic: Traffic::default(),
        flops: Flops::default(),
        sent_bytes: 0,
        parameters: Vec::new(),
        results: Vec::new(),
        temporary_peak_bytes: 0,
        by_group: Vec::new(),
        by_operation: Vec::new(),
        instructions: Vec::new(),
        collectives: Vec::new(),
        temporaries: Vec::new(),
        copies: Vec::new(),
        prefetched_bytes: 0,
        unknown_loops: Vec::new(),
        opaque_calls: Vec::new(),
        estimate: None,
    }
}

impl Builder<'_> {
    /// Bytes that one run of a computation's own instructions moves.
    fn own_bytes_moved(&self, id: ComputationId) -> u64 {
        let computation = self.module.computation(id);
        let bytes = computation.instructions.iter().map(|i| self.traffic.of(computation, i).bytes());
        bytes.fold(0, u64::saturating_add)
    }

    fn add_computation(&mut self, id: ComputationId, computation: &Computation, times: u64) {
        let is_entry = id == self.module.entry;
        let paths = attribution::paths(self.module, computation);
        let done = if is_entry { prefetch::done_by_earlier_run(computation) } else { Vec::new() };
        let results = if is_entry { memory::results(computation) } else { Vec::new() };
        for ((id, instruction), path) in computation.instructions().zip(paths) {
            let mut cost = self.cost(computation, instruction, path, times);
            if done.contains(&id) {
                self.report.prefetched_bytes += cost.traffic.read;
                cost.traffic = Traffic::default();
            }
            if is_entry && cost.traffic.read > 0 {
                self.reads.add(
                    computation,
                    self.fusions,
                    &self.traffic.reads(computation, instruction),
                    cost.path.as_deref(),
                );
            }
            if let Some(collective) = Collective::read(computation, instruction, self.options.mesh.as_ref()) {
                cost.sent_bytes = collective.sent_bytes;
                self.report.collectives.push(Collective { path: cost.path.clone(), times, ..collective });
            }
            if *instruction.operation() == Opcode::CustomCall && cost.traffic.bytes() > 0 {
                let target = instruction.attributes.custom_call_target.clone().unwrap_or_default();
                self.report.opaque_calls.push(target);
            }
            let bytes = memory::own_bytes(self.fusions, &self.traffic, instruction);
            if bytes > 0 {
                self.report.temporaries.push(Temporary {
                    name: cost.name.clone(),
                    opcode: cost.operation.clone(),
                    shape: cost.shape.clone(),
                    bytes,
                    path: cost.path.clone(),
                    is_result: results.contains(&id),
                });
            }
            if cost.traffic.bytes() > 0 || cost.flops != Flops::default() || cost.sent_bytes > 0 {
                self.report.instructions.push(cost);
            }
        }
    }

    fn cost(
        &self,
        computation: &Computation,
        instruction: &Instruction,
        path: Option<String>,
        times: u64,
    ) -> InstructionCost {
        let traffic = self.traffic.of(computation, instruction);
        let group = match &path {
            _ if self.copies.contains(instruction, traffic) => COPIES.to_string(),
            Some(path) => self.options.groups.group(path),
            None => UNATTRIBUTED.to_string(),
        };
        InstructionCost {
            name: instruction.name.clone(),
            computation: computation.name.clone(),
            operation: self.operation(instruction),
            shape: instruction.result().unwrap_or(&instruction.shape).to_string(),
            path,
            group,
            times,
            traffic,
            flops: self.flops.of(computation, instruction),
            sent_bytes: 0,
            estimated_cycles: instruction.attributes.backend.estimated_cycles,
        }
    }

    /// Name of the operation; of a fusion with what it is about.
    fn operation(&self, instruction: &Instruction) -> String {
        let (Opcode::Fusion, &Called::Calls(callee)) = (instruction.operation(), &instruction.called) else {
            return match &instruction.wrapped {
                Some(wrapped) => format!("{wrapped}-start"),
                None => instruction.opcode.to_string(),
            };
        };
        let fused = self.module.computation(callee);
        let about = [
            Opcode::Convolution,
            Opcode::Dot,
            Opcode::Scatter,
            Opcode::DynamicUpdateSlice,
            Opcode::Gather,
            Opcode::DynamicSlice,
            Opcode::Reduce,
        ];
        let about = about.iter().find(|opcode| fused.instructions.iter().any(|i| i.opcode == **opcode));
        match about {
            Some(opcode) => format!("fusion({opcode})"),
            None if self.copies_only(instruction) => "fusion(copy)".to_string(),
            None => "fusion(elementwise)".to_string(),
        }
    }

    fn copies_only(&self, instruction: &Instruction) -> bool {
        self.copies.contains(instruction, Traffic { read: 1, written: 1 })
    }

    fn finish(self) -> Report {
        let mut report = self.report;
        for cost in &report.instructions {
            report.traffic += cost.traffic * cost.times;
            report.flops += cost.flops * cost.times;
            report.sent_bytes = report.sent_bytes.saturating_add(cost.sent_bytes.saturating_mul(cost.times));
        }
        report.by_group = shares(&report.instructions, |cost| &cost.group);
        report.by_operation = shares(&report.instructions, |cost| &cost.operation);
        report.temporaries.sort_by_key(|temporary| std::cmp::Reverse(temporary.bytes));
        report.temporaries.truncate(self.options.largest);
        report.copies = report.instructions.iter().filter(|cost| cost.group == COPIES).cloned().collect();
        let moved = |cost: &InstructionCost| (cost.traffic * cost.times).bytes();
        report.copies.sort_by_key(|cost| std::cmp::Reverse(moved(cost)));
        report.copies.truncate(self.options.largest);
        report.opaque_calls.sort_unstable();
        report.opaque_calls.dedup();
        report.estimate =
            self.options.roofline.as_ref().map(|roofline| StepEstimate::of(roofline, &report.instructions));
        report
    }
}

/// Costs summed by a name, the largest traffic first.
fn shares(costs: &[InstructionCost], name: impl Fn(&InstructionCost) -> &str) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for cost in costs {
        let index = shares.iter().position(|share| share.name == name(cost)).unwrap_or_else(|| {
            shares.push(Share {
                name: name(cost).to_string(),
                times: 0,
                traffic: Traffic::default(),
                flops: Flops::default(),
                sent_bytes: 0,
            });
            shares.len() - 1
        });
        let share = &mut shares[index];
        share.times = share.times.saturating_add(cost.times);
        share.traffic += cost.traffic * cost.times;
        share.flops += cost.flops * cost.times;
        share.sent_bytes = share.sent_bytes.saturating_add(cost.sent_bytes.saturating_mul(cost.times));
    }
    shares.sort_by_key(|share| std::cmp::Reverse(share.traffic.bytes()));
    shares
}
