//! How much memory the temporaries of a program need at the same time.

use std::collections::HashSet;

use crate::attributes::Called;
use crate::memory;
use crate::module::{Computation, Instruction, InstructionId, Module};
use crate::opcode::Opcode;
use crate::traffic::{Fusions, TrafficModel};

/// Most bytes of main memory that temporaries take at any time of the schedule: each from the instruction that makes
/// it to the last that needs it. Results are none. An allocator needs as much at the least, since it also leaves gaps.
pub(crate) fn peak_bytes(module: &Module, fusions: &Fusions, traffic: &TrafficModel<'_>) -> u64 {
    let mut peaks: Vec<u64> = Vec::new();
    // Callees come first, so that their peaks are known.
    for (_, computation) in module.computations() {
        let peak = Lifetimes::of(computation, fusions)
            .peak(computation, &peaks, |instruction| memory::own_bytes(fusions, traffic, instruction));
        peaks.push(peak);
    }
    peaks.get(module.entry.0 as usize).copied().unwrap_or(0)
}

/// For each instruction of a computation, the place in the schedule at which its value is last needed.
struct Lifetimes(Vec<usize>);

impl Lifetimes {
    fn of(computation: &Computation, fusions: &Fusions) -> Self {
        let users = computation.users();
        let mut last: Vec<usize> = (0..users.len()).collect();
        // From the last to the first, so that the lifetime of what a user hands on is known.
        for (id, instruction) in computation.instructions().rev() {
            let place = id.0 as usize;
            let needed = if instruction.opcode.is_start() {
                // Until it is done, the operands are in use.
                users[place].iter().map(|user| user.0 as usize).max().unwrap_or(place)
            } else {
                place
            };
            for (index, operand) in instruction.operands.iter().enumerate() {
                let until = if hands_on(instruction, index, fusions) { last[place] } else { needed };
                let of_operand = &mut last[operand.0 as usize];
                *of_operand = until.max(*of_operand);
            }
        }
        Self(last)
    }

    fn peak(&self, computation: &Computation, peaks: &[u64], own: impl Fn(&Instruction) -> u64) -> u64 {
        let results: HashSet<InstructionId> = memory::results(computation).into_iter().collect();
        let mut freed = vec![0_u64; self.0.len()];
        let (mut live, mut peak) = (0_u64, 0_u64);
        for (id, instruction) in computation.instructions() {
            let place = id.0 as usize;
            if !results.contains(&id) {
                let bytes = own(instruction);
                live = live.saturating_add(bytes);
                let end = &mut freed[self.0[place]];
                *end = end.saturating_add(bytes);
            }
            peak = peak.max(live.saturating_add(callees_peak(instruction, peaks)));
            live = live.saturating_sub(freed[place]);
        }
        peak
    }
}

/// Whether the value of an instruction is, or holds, the memory of its operand.
fn hands_on(instruction: &Instruction, operand: usize, fusions: &Fusions) -> bool {
    match (instruction.operation(), &instruction.called) {
        (Opcode::While | Opcode::Conditional | Opcode::Call, _) => true,
        (Opcode::DynamicUpdateSlice | Opcode::Scatter, _) => operand == 0,
        (Opcode::Fusion, &Called::Calls(callee)) => {
            let updates = fusions.of(callee).outputs.iter().filter_map(|output| output.update);
            updates.into_iter().any(|update| update.parameter == operand)
        }
        _ => instruction.opcode.is_free(),
    }
}

/// Memory of what an instruction runs. Fused and applied computations have none.
fn callees_peak(instruction: &Instruction, peaks: &[u64]) -> u64 {
    let peak = |callee: usize| peaks.get(callee).copied().unwrap_or(0);
    match (&instruction.called, instruction.operation()) {
        (Called::While { condition, body }, _) => peak(condition.0 as usize).max(peak(body.0 as usize)),
        (Called::Branches(branches), _) => branches.iter().map(|b| peak(b.0 as usize)).max().unwrap_or(0),
        (Called::ToApply(callee), Opcode::Call) => peak(callee.0 as usize),
        (Called::ToApply(_) | Called::Calls(_) | Called::None, _) => 0,
    }
}
