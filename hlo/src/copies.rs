//! Which instructions only move data, as copies and transpositions do.

use crate::attributes::Called;
use crate::module::{ComputationId, Instruction, Module};
use crate::opcode::Opcode;
use crate::traffic::Traffic;

/// Copies among the instructions of a module.
pub(crate) struct Copies {
    /// For each computation, whether all that it does is move data.
    only_moves: Vec<bool>,
}

impl Copies {
    pub(crate) fn of_module(module: &Module) -> Self {
        let mut copies = Self { only_moves: Vec::new() };
        // Callees come first, so that what is fused is known.
        for (_, computation) in module.computations() {
            let mut instructions = computation.instructions.iter().filter(|i| !i.opcode.is_free()).peekable();
            let only_moves = instructions.peek().is_some() && instructions.all(|i| copies.moves(i));
            copies.only_moves.push(only_moves);
        }
        copies
    }

    fn moves(&self, instruction: &Instruction) -> bool {
        match (instruction.operation(), &instruction.called) {
            (Opcode::Copy | Opcode::CopyStart | Opcode::Reshape | Opcode::Transpose, _) => true,
            (Opcode::Fusion, &Called::Calls(ComputationId(callee))) => {
                self.only_moves.get(callee as usize).is_some_and(|moves| *moves)
            }
            _ => false,
        }
    }

    /// Whether an instruction with this traffic is a copy that the model did not ask for. An asynchronous copy with
    /// one end on the chip is none: it takes the place of another instruction's access.
    pub(crate) fn contains(&self, instruction: &Instruction, traffic: Traffic) -> bool {
        let within_main_memory = traffic.read > 0 && traffic.written > 0;
        self.moves(instruction) && (within_main_memory || instruction.opcode != Opcode::CopyStart)
    }
}
