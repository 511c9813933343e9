//! What the program is given and what it returns.

use std::collections::{HashMap, HashSet};

use super::{Parameter, ProgramResult};
use crate::attributes::Called;
use crate::attribution;
use crate::module::{Computation, Instruction, InstructionId, Module};
use crate::opcode::Opcode;
use crate::shape::Shape;
use crate::traffic::{Fusions, TrafficModel};

/// Who reads how many bytes of each parameter.
#[derive(Default)]
pub(super) struct ParameterReads(HashMap<InstructionId, Vec<(Option<String>, u64)>>);

impl ParameterReads {
    /// Adds what an instruction of the entry computation, which belongs to `path`, reads of its operands.
    pub(super) fn add(
        &mut self,
        entry: &Computation,
        fusions: &Fusions,
        reads: &[(InstructionId, u64)],
        path: Option<&str>,
    ) {
        for &(operand, bytes) in reads {
            let source = behind_updates(entry, fusions, operand);
            if entry.instruction(source).opcode == Opcode::Parameter {
                self.0.entry(source).or_default().push((path.map(ToString::to_string), bytes));
            }
        }
    }

    fn bytes(&self, parameter: InstructionId) -> u64 {
        let reads = self.0.get(&parameter).into_iter().flatten();
        reads.map(|(_, bytes)| *bytes).fold(0, u64::saturating_add)
    }

    /// Of several that read as much, the first.
    fn most(&self, parameter: InstructionId) -> Option<String> {
        let reads = self.0.get(&parameter).into_iter().flatten();
        reads.rev().max_by_key(|(_, bytes)| *bytes).and_then(|(path, _)| path.clone())
    }
}

/// The value whose memory this one is: itself, or what it is a view or an update in place of.
fn behind_updates(entry: &Computation, fusions: &Fusions, mut id: InstructionId) -> InstructionId {
    loop {
        id = entry.behind_views(id);
        let (value, output) = match entry.instruction(id) {
            element if element.opcode == Opcode::GetTupleElement => {
                let Some(&tuple) = element.operands.first() else { return id };
                (entry.instruction(tuple), element.attributes.tuple_index.unwrap_or(0))
            }
            value => (value, 0),
        };
        let updated = match (&value.opcode, &value.called) {
            (Opcode::DynamicUpdateSlice | Opcode::Scatter, _) => Some(0),
            (Opcode::Fusion, &Called::Calls(callee)) => {
                let output = fusions.of(callee).outputs.get(output);
                output.and_then(|output| output.update).map(|update| update.parameter)
            }
            _ => None,
        };
        match updated.and_then(|operand| value.operands.get(operand)) {
            Some(&operand) => id = operand,
            None => return id,
        }
    }
}

/// The parameters by their numbers.
pub(super) fn parameters(
    module: &Module,
    traffic: &TrafficModel<'_>,
    reads: &ParameterReads,
) -> Vec<Parameter> {
    let instructions = module.entry().instructions();
    let mut numbered: Vec<_> = instructions
        .filter(|(_, instruction)| instruction.opcode == Opcode::Parameter)
        .map(|(id, instruction)| (instruction.attributes.parameter, id, instruction))
        .collect();
    numbered.sort_by_key(|(number, _, _)| *number);
    let donated: HashSet<usize> = module.aliases.iter().map(|alias| alias.parameter).collect();
    let parameter = |(number, id, instruction): (Option<usize>, InstructionId, &Instruction)| {
        let name = instruction.attributes.metadata.op_name.clone();
        Parameter {
            path: reads.most(id).or_else(|| attribution::parameter_path(&name)),
            name,
            shape: instruction.shape.to_string(),
            bytes: traffic.in_main_memory(&instruction.shape),
            is_donated: number.is_some_and(|number| donated.contains(&number)),
            read_bytes: reads.bytes(id),
        }
    };
    numbered.into_iter().map(parameter).collect()
}

/// The results, from left to right.
pub(super) fn results(module: &Module, traffic: &TrafficModel<'_>) -> Vec<ProgramResult> {
    let shape = &module.entry().root().shape;
    let parts: Vec<(Vec<usize>, &Shape)> = match shape {
        Shape::Tuple(parts) => parts.iter().enumerate().map(|(index, part)| (vec![index], part)).collect(),
        Shape::Array(_) => vec![(Vec::new(), shape)],
    };
    let result = |(output, shape): (Vec<usize>, &Shape)| ProgramResult {
        shape: shape.to_string(),
        bytes: traffic.in_main_memory(shape),
        is_donated: module.aliases.iter().any(|alias| alias.output == output),
    };
    parts.into_iter().map(result).collect()
}
