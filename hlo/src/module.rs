//! A program: computations of instructions, linked by number.

use serde::Serialize;

use crate::attributes::{Attributes, Called};
use crate::opcode::{CollectiveKind, Opcode};
use crate::shape::Shape;

/// Number of a computation in its module.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct ComputationId(pub(crate) u32);

/// Number of an instruction in its computation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct InstructionId(pub(crate) u32);

/// An HLO module.
///
/// Modules come only from the readers ([`Module::from_text`], [`Module::from_proto`]), which check that
/// - every operand is an earlier instruction of the same computation,
/// - every called computation exists, no computation calls itself, and calls nest at most 64 deep,
/// - every shape has a size.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Whether the order of instructions is the order in which they run.
    pub is_scheduled: bool,
    /// Results that take over the memory of a parameter.
    pub aliases: Vec<Alias>,
    /// Called before callers.
    pub(crate) computations: Vec<Computation>,
    pub(crate) entry: ComputationId,
}

/// A result that takes over the memory of a parameter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Alias {
    /// Path into the result's tuple; empty for the result itself.
    pub output: Vec<usize>,
    /// Number of the parameter.
    pub parameter: usize,
}

/// A computation.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Computation {
    /// Its name, without `%`.
    pub name: String,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) root: InstructionId,
}

/// An instruction.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Instruction {
    /// Its name, without `%`.
    pub name: String,
    /// What it does.
    pub opcode: Opcode,
    /// What an [`Opcode::AsyncStart`] starts.
    pub wrapped: Option<Opcode>,
    /// Type of its value.
    pub shape: Shape,
    /// Where its operands come from.
    pub operands: Vec<InstructionId>,
    /// What it runs.
    pub called: Called,
    /// What else it says.
    pub attributes: Attributes,
}

impl Module {
    /// The computation that runs first.
    pub fn entry(&self) -> &Computation {
        self.computation(self.entry)
    }

    /// The computations, those that are called before those that call them.
    pub fn computations(&self) -> impl DoubleEndedIterator<Item = (ComputationId, &Computation)> {
        self.computations.iter().enumerate().map(|(index, item)| (ComputationId(index as u32), item))
    }

    /// The computation with a number of this module.
    pub fn computation(&self, id: ComputationId) -> &Computation {
        &self.computations[id.0 as usize]
    }
}

impl Computation {
    /// The instructions, in the order in which they run if the module is scheduled.
    pub fn instructions(&self) -> impl DoubleEndedIterator<Item = (InstructionId, &Instruction)> {
        self.instructions.iter().enumerate().map(|(index, item)| (InstructionId(index as u32), item))
    }

    /// The instruction with a number of this computation.
    pub fn instruction(&self, id: InstructionId) -> &Instruction {
        &self.instructions[id.0 as usize]
    }

    /// The instruction whose value is the result.
    pub fn root(&self) -> &Instruction {
        self.instruction(self.root)
    }

    /// The parameter with this number.
    pub fn parameter(&self, number: usize) -> Option<(InstructionId, &Instruction)> {
        self.instructions().find(|(_, instruction)| instruction.attributes.parameter == Some(number))
    }

    /// Where the value of an instruction comes from, past instructions that only give it another type or name.
    pub(crate) fn behind_views(&self, mut id: InstructionId) -> InstructionId {
        while let (true, Some(&operand)) =
            (self.instruction(id).opcode.is_view(), self.instruction(id).operands.first())
        {
            id = operand;
        }
        id
    }

    /// For each instruction, those that have it as an operand; each user once.
    pub(crate) fn users(&self) -> Vec<Vec<InstructionId>> {
        let mut users = vec![Vec::new(); self.instructions.len()];
        for (id, instruction) in self.instructions() {
            for operand in &instruction.operands {
                let of_operand: &mut Vec<InstructionId> = &mut users[operand.0 as usize];
                if of_operand.last() != Some(&id) {
                    of_operand.push(id);
                }
            }
        }
        users
    }
}

impl Instruction {
    /// What it does, or starts to do.
    pub fn operation(&self) -> &Opcode {
        self.wrapped.as_ref().unwrap_or(&self.opcode)
    }

    /// Type of what the operation writes: for an asynchronous start its result alone, without what the tuple
    /// carries along.
    pub fn result(&self) -> Option<&Shape> {
        match &self.opcode {
            Opcode::CopyStart | Opcode::Recv => self.shape.part(0),
            Opcode::AsyncStart => self.shape.part(1),
            // `all-reduce-start` has its result as its value, unless it was wrapped.
            Opcode::CollectiveStart(CollectiveKind::AllReduce) => match self.shape.part(0) {
                Some(Shape::Tuple(_)) => self.shape.part(1),
                _ => Some(&self.shape),
            },
            Opcode::CollectiveStart(_) => self.shape.part(1),
            Opcode::Send => None,
            _ => Some(&self.shape),
        }
    }
}
