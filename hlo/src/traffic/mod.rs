//! HBM traffic: which bytes an instruction reads from and writes to the device's main memory.
//!
//! | instruction | reads | writes |
//! |---|---|---|
//! | parameter, constant, tuple, bitcast, the end of something asynchronous | - | - |
//! | slice, dynamic-slice, gather | what it takes out, and its indices | its result |
//! | dynamic-update-slice, scatter | the update, and its indices | the part that it updates |
//! | fusion | of each operand what its instructions need ([`fusion`]) | its results, of updated ones only the update |
//! | while, conditional, call | - (the computations that they run are counted) | - |
//! | collective | its operands | its result |
//! | anything else | its operands, each once | its result |
//!
//! Only what lies in main memory counts: a copy into on-chip memory (`S(1)`) reads HBM once, and who uses the copy
//! does not read HBM again. Bytes are those of the layout, padding of tiles included. Where an instruction takes a
//! part of an operand, that part's share of the operand's bytes is read; that hardware reads whole tiles is not
//! modelled, nor that a fused convolution may read an operand several times. The figures are therefore what the
//! schedule must move at the least.

mod demand;
mod fusion;
mod memory_space;

use std::ops::{Add, AddAssign, Mul};

use serde::Serialize;

use crate::attributes::Called;
use crate::module::{Computation, Instruction, InstructionId, Module};
use crate::opcode::Opcode;
use crate::shape::Shape;
use demand::Demand;
pub(crate) use fusion::Fusions;
pub use memory_space::MemorySpaces;

/// Bytes to and from HBM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Traffic {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}

impl Traffic {
    /// Bytes read and written.
    pub fn bytes(self) -> u64 {
        self.read.saturating_add(self.written)
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read: self.read.saturating_add(other.read),
            written: self.written.saturating_add(other.written),
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Traffic {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self { read: self.read.saturating_mul(times), written: self.written.saturating_mul(times) }
    }
}

/// Custom calls that do nothing when the program runs.
const FREE_CUSTOM_CALLS: [&str; 6] = [
    "AllocateBuffer",
    "AssumeGatherIndicesInBound",
    "ConcatBitcast",
    "Sharding",
    "SPMDFullToShardShape",
    "SPMDShardToFullShape",
];

/// Traffic of the instructions of a module.
pub(crate) struct TrafficModel<'m> {
    module: &'m Module,
    fusions: &'m Fusions,
    spaces: MemorySpaces,
}

impl<'m> TrafficModel<'m> {
    pub(crate) fn new(module: &'m Module, fusions: &'m Fusions, spaces: MemorySpaces) -> Self {
        Self { module, fusions, spaces }
    }

    /// What one run of an instruction moves, without the computations that it runs.
    pub(crate) fn of(&self, computation: &Computation, instruction: &Instruction) -> Traffic {
        let is_control =
            matches!(instruction.operation(), Opcode::While | Opcode::Conditional | Opcode::Call);
        if instruction.opcode.is_free() || is_control || is_free_custom_call(instruction) {
            return Traffic::default();
        }
        Traffic { read: self.read(computation, instruction), written: self.written(computation, instruction) }
    }

    /// Bytes of a value that lie in main memory.
    pub(crate) fn in_main_memory(&self, shape: &Shape) -> u64 {
        let arrays = shape.arrays().into_iter();
        let in_main = arrays.filter(|array| self.spaces.is_main_memory(array.layout.memory_space));
        in_main.map(|array| array.bytes()).fold(0, u64::saturating_add)
    }

    fn read(&self, computation: &Computation, instruction: &Instruction) -> u64 {
        self.reads(computation, instruction).into_iter().map(|(_, bytes)| bytes).fold(0, u64::saturating_add)
    }

    /// What one run of an instruction reads of each of its operands.
    pub(crate) fn reads(
        &self,
        computation: &Computation,
        instruction: &Instruction,
    ) -> Vec<(InstructionId, u64)> {
        let wanted = Demand::of_whole(self.module, self.fusions, computation, instruction);
        let mut of_operands: Vec<(InstructionId, u64)> =
            instruction.operands.iter().copied().zip(wanted).collect();
        // An operand that stands twice is read once.
        of_operands.sort_unstable();
        let read = of_operands.chunk_by(|(a, _), (b, _)| a == b).filter_map(|same| {
            let elements = same.iter().map(|(_, elements)| *elements).fold(0, u64::saturating_add);
            let &(operand, _) = same.first()?;
            let shape = &computation.instruction(operand).shape;
            Some((operand, share(self.in_main_memory(shape), elements, shape.elements())))
        });
        read.collect()
    }

    fn written(&self, computation: &Computation, instruction: &Instruction) -> u64 {
        let Some(result) = instruction.result() else { return 0 };
        if let (Opcode::Fusion, Called::Calls(callee)) = (instruction.operation(), &instruction.called) {
            let outputs = self.fusions.of(*callee).outputs.iter();
            let parts = match result {
                Shape::Tuple(parts) => parts.iter().collect(),
                Shape::Array(_) => vec![result],
            };
            let bytes = outputs.zip(parts).map(|(output, part)| {
                let all = part.elements();
                share(self.in_main_memory(part), output.update.map_or(all, |update| update.elements), all)
            });
            return bytes.fold(0, u64::saturating_add);
        }
        let all = result.elements();
        let elements = updated_elements(computation, instruction).unwrap_or(all);
        share(self.in_main_memory(result), elements, all)
    }
}

/// Elements that an update in place writes; `None` if the instruction is none.
fn updated_elements(computation: &Computation, instruction: &Instruction) -> Option<u64> {
    let update = match (instruction.operation(), instruction.operands.as_slice()) {
        (Opcode::DynamicUpdateSlice, &[_, update, ..]) => update,
        // Of several arrays at once no backend makes an update in place.
        (Opcode::Scatter, &[_, _, update]) => update,
        _ => return None,
    };
    Some(computation.instruction(update).shape.elements())
}

fn is_free_custom_call(instruction: &Instruction) -> bool {
    let target = instruction.attributes.custom_call_target.as_deref();
    *instruction.operation() == Opcode::CustomCall && target.is_some_and(|t| FREE_CUSTOM_CALLS.contains(&t))
}

/// The share of `part` of `whole` elements in `bytes`.
fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    if part >= whole {
        return bytes;
    }
    let share = u128::from(bytes) * u128::from(part) / u128::from(whole);
    u64::try_from(share).unwrap_or(bytes)
}
