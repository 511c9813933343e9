//! The largest temporaries of a program.

use serde::Serialize;

use crate::attributes::Called;
use crate::module::{Computation, Instruction, InstructionId};
use crate::opcode::Opcode;
use crate::shape::Shape;
use crate::traffic::{Fusions, TrafficModel};

/// A value that needs main memory of its own while the program runs. Values that are not alive together may share it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Temporary {
    /// Name of the instruction.
    pub name: String,
    /// Its operation.
    pub opcode: String,
    /// Its type, without the layout.
    pub shape: String,
    /// Bytes in main memory, padding of the layout included.
    pub bytes: u64,
    /// Where in the model it comes from, if that is known.
    pub path: Option<String>,
    /// Whether it is a result of the program, so that its memory is the output's.
    pub is_result: bool,
}

/// Bytes of main memory that an instruction's value needs for itself, apart from that of its operands.
pub(crate) fn own_bytes(fusions: &Fusions, traffic: &TrafficModel<'_>, instruction: &Instruction) -> u64 {
    let shares_memory = match instruction.operation() {
        Opcode::DynamicUpdateSlice | Opcode::Scatter => true,
        // What a loop carries and what calls return is the memory of values that are counted themselves.
        Opcode::While | Opcode::Conditional | Opcode::Call => true,
        _ => instruction.opcode.is_free(),
    };
    let Some(result) = instruction.result().filter(|_| !shares_memory) else { return 0 };
    let is_own = |index: usize| {
        let updates = match (instruction.operation(), &instruction.called) {
            (Opcode::Fusion, &Called::Calls(callee)) => {
                fusions.of(callee).outputs.get(index).is_some_and(|output| output.update.is_some())
            }
            _ => false,
        };
        let aliases = &instruction.attributes.output_aliases;
        !updates && !aliases.iter().any(|alias| alias.output.is_empty() || alias.output == [index])
    };
    let parts = match result {
        Shape::Tuple(parts) => parts.iter().collect(),
        Shape::Array(_) => vec![result],
    };
    let own = parts.into_iter().enumerate().filter(|(index, _)| is_own(*index));
    own.map(|(_, part)| traffic.in_main_memory(part)).fold(0, u64::saturating_add)
}

/// The instructions whose values are the results of a computation.
pub(crate) fn results(computation: &Computation) -> Vec<InstructionId> {
    let root = computation.root();
    let results = match root.opcode {
        Opcode::Tuple => root.operands.clone(),
        _ => vec![computation.root],
    };
    let source = |id| {
        let id = computation.behind_views(id);
        match (&computation.instruction(id).opcode, computation.instruction(id).operands.first()) {
            (Opcode::GetTupleElement, Some(&tuple)) => tuple,
            _ => id,
        }
    };
    results.into_iter().map(source).collect()
}
