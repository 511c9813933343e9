//! How many elements of its operands an instruction needs for some elements of its result.

use super::Fusions;
use crate::attributes::Called;
use crate::module::{Computation, Instruction, Module};
use crate::opcode::Opcode;

/// Elements of a result that somebody needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    pub elements: u64,
    /// Whether the instruction updates its first operand in place. It then runs for the sake of the update, and the
    /// elements needed are those that are needed besides.
    pub in_place: bool,
}

impl Demand {
    /// Elements needed of each operand for the whole result of an instruction that is not part of a fusion.
    pub(super) fn of_whole(
        module: &Module,
        fusions: &Fusions,
        computation: &Computation,
        instruction: &Instruction,
    ) -> Vec<u64> {
        let in_place = super::updated_elements(computation, instruction).is_some();
        let elements = match (in_place, instruction.result()) {
            (true, _) => 0,
            (false, Some(result)) => result.elements(),
            // What sends has no result, and needs all that it sends.
            (false, None) => instruction.shape.elements(),
        };
        Self { elements, in_place }.of_operands(module, fusions, computation, instruction)
    }

    /// Elements needed of each operand, perhaps more than it has.
    pub(super) fn of_operands(
        self,
        module: &Module,
        fusions: &Fusions,
        computation: &Computation,
        instruction: &Instruction,
    ) -> Vec<u64> {
        let operands = &instruction.operands;
        if self.elements == 0 && !self.in_place && instruction.result().is_some_and(|r| r.elements() > 0) {
            return vec![0; operands.len()];
        }
        let whole: Vec<u64> =
            operands.iter().map(|&id| computation.instruction(id).shape.elements()).collect();
        let first_in_part = |elements: u64| {
            let mut wanted = whole.clone();
            if let Some(first) = wanted.first_mut() {
                *first = elements;
            }
            wanted
        };
        match (instruction.operation(), &instruction.called) {
            (Opcode::Fusion, &Called::Calls(callee)) => fusions.of(callee).parameters.clone(),
            (Opcode::Slice | Opcode::DynamicSlice | Opcode::Gather, _) => first_in_part(self.elements),
            (Opcode::DynamicUpdateSlice, _) => first_in_part(self.elements),
            (Opcode::Scatter, called) => {
                let read = match (self.in_place, super::updated_elements(computation, instruction)) {
                    (true, Some(updated)) if combines(module, called) => updated,
                    _ => 0,
                };
                first_in_part(self.elements.saturating_add(read))
            }
            // Element for element. Scalars and the like are needed whole.
            (
                Opcode::Bitcast
                | Opcode::Copy
                | Opcode::Reshape
                | Opcode::Transpose
                | Opcode::Elementwise(_)
                | Opcode::AddDependency
                | Opcode::Domain
                | Opcode::OptimizationBarrier,
                _,
            ) => whole.into_iter().map(|whole| whole.min(self.elements)).collect(),
            _ => whole,
        }
    }
}

/// Whether a scatter combines the update with what was there, rather than overwrite it.
fn combines(module: &Module, called: &Called) -> bool {
    match *called {
        Called::ToApply(callee) => {
            let callee = module.computation(callee);
            let result = callee.instruction(callee.behind_views(callee.root));
            result.opcode != Opcode::Parameter
        }
        _ => true,
    }
}
