//! What a fusion needs of its parameters, and which of its results are updates in place.
//!
//! A fusion computes what its results need and no more: a parameter of which only a slice is used is read in that
//! slice, also if something elementwise stands between. A result that is a `dynamic-update-slice` or `scatter` of a
//! parameter is that parameter's memory, and only the update is written.

use super::demand::Demand;
use super::updated_elements;
use crate::attributes::Called;
use crate::module::{Computation, ComputationId, Instruction, InstructionId, Module};
use crate::opcode::Opcode;

/// What fused computations read and write.
pub(crate) struct Fusions(Vec<FusedAccess>);

/// What a computation reads and writes if it is fused.
pub(crate) struct FusedAccess {
    /// For each parameter, how many elements are needed.
    pub parameters: Vec<u64>,
    /// For each result.
    pub outputs: Vec<Output>,
}

/// A result of a fusion.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    /// If it is a parameter's memory, updated: what is updated. Else all of it is written.
    pub update: Option<Update>,
}

/// A parameter's memory with a part of it replaced.
#[derive(Clone, Copy)]
pub(crate) struct Update {
    /// Number of the parameter.
    pub parameter: usize,
    /// Elements that are replaced.
    pub elements: u64,
}

impl Fusions {
    /// Looks at all computations of a module; of those that are not fused nobody will ask.
    pub(crate) fn of_module(module: &Module) -> Self {
        let mut fusions = Self(Vec::new());
        // Callees come first, so that a fusion within a fusion is known.
        for (_, computation) in module.computations() {
            let access = fusions.access(module, computation);
            fusions.0.push(access);
        }
        fusions
    }

    pub(crate) fn of(&self, id: ComputationId) -> &FusedAccess {
        &self.0[id.0 as usize]
    }

    fn access(&self, module: &Module, computation: &Computation) -> FusedAccess {
        let root = computation.root();
        let results = match root.opcode {
            Opcode::Tuple => root.operands.clone(),
            _ => vec![computation.root],
        };
        let size = computation.instructions.len();
        let mut elements = vec![0_u64; size];
        let mut in_place = vec![false; size];
        let mut outputs = Vec::with_capacity(results.len());
        for &result in &results {
            let (update, updating) = self.update(computation, result);
            match update {
                Some(_) => updating.into_iter().for_each(|id| in_place[id.0 as usize] = true),
                None => elements[result.0 as usize] = computation.instruction(result).shape.elements(),
            }
            outputs.push(Output { update });
        }

        for (id, instruction) in computation.instructions().rev() {
            let at = id.0 as usize;
            if id == computation.root && root.opcode == Opcode::Tuple {
                continue;
            }
            let demand =
                Demand { elements: elements[at].min(instruction.shape.elements()), in_place: in_place[at] };
            elements[at] = demand.elements;
            let wanted = demand.of_operands(module, self, computation, instruction);
            for (operand, wanted) in instruction.operands.iter().zip(wanted) {
                let sum = &mut elements[operand.0 as usize];
                *sum = sum.saturating_add(wanted);
            }
        }
        FusedAccess { parameters: per_parameter(computation, &elements), outputs }
    }

    /// Whether a result is an updated parameter, and the instructions that update it.
    fn update(
        &self,
        computation: &Computation,
        result: InstructionId,
    ) -> (Option<Update>, Vec<InstructionId>) {
        let mut updating = Vec::new();
        let mut updated = 0_u64;
        let mut at = computation.behind_views(result);
        loop {
            let instruction = computation.instruction(at);
            let base = match (&instruction.opcode, &instruction.called) {
                (Opcode::Parameter, _) if !updating.is_empty() => {
                    let parameter = instruction.attributes.parameter;
                    return (parameter.map(|parameter| Update { parameter, elements: updated }), updating);
                }
                (Opcode::Fusion, &Called::Calls(callee)) => match *self.of(callee).outputs {
                    [Output { update: Some(update) }] => {
                        updated = updated.saturating_add(update.elements);
                        instruction.operands.get(update.parameter)
                    }
                    _ => None,
                },
                _ => {
                    let elements = updated_elements(computation, instruction);
                    updated = updated.saturating_add(elements.unwrap_or(0));
                    elements.and(instruction.operands.first())
                }
            };
            let Some(&base) = base else { return (None, Vec::new()) };
            updating.push(at);
            at = computation.behind_views(base);
        }
    }
}

/// The elements of the parameters, by their numbers.
fn per_parameter(computation: &Computation, elements: &[u64]) -> Vec<u64> {
    let is_parameter = |instruction: &&Instruction| instruction.opcode == Opcode::Parameter;
    let mut parameters = vec![0; computation.instructions.iter().filter(is_parameter).count()];
    for (id, instruction) in computation.instructions() {
        let place = instruction.attributes.parameter.and_then(|number| parameters.get_mut(number));
        if let Some(place) = place {
            *place = elements[id.0 as usize];
        }
    }
    parameters
}
