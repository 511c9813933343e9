//! Reads serialized `HloModuleProto`s, the form in which PJRT plugins hand programs out.

mod attributes;
mod devices;
mod messages;
mod shape;

use std::collections::HashMap;

use prost::Message;

use self::messages::{HloComputationProto, HloInstructionProto, HloModuleProto, HloModuleProtoWithConfig};
use crate::error::{Place, Problem, ReadError};
use crate::link::{RawCalled, RawComputation, RawInstruction, RawModule, link};
use crate::module::{Alias, Module};

impl Module {
    /// Reads a serialized `HloModuleProto` (PJRT's format `hlo`).
    ///
    /// # Errors
    /// If the bytes are no such message, or if the parts of the module do not fit together.
    pub fn from_proto(bytes: &[u8]) -> Result<Self, ReadError> {
        link(module(HloModuleProto::decode(bytes).map_err(ReadError::Proto)?)?)
    }

    /// Reads a serialized `HloModuleProtoWithConfig` (PJRT's format `hlo_with_config`).
    ///
    /// # Errors
    /// As [`Module::from_proto`].
    pub fn from_proto_with_config(bytes: &[u8]) -> Result<Self, ReadError> {
        let with_config = HloModuleProtoWithConfig::decode(bytes).map_err(ReadError::Proto)?;
        link(module(with_config.hlo_module.unwrap_or_default())?)
    }

    pub(crate) fn from_proto_of_either_kind(bytes: &[u8]) -> Result<Self, ReadError> {
        // The name of a module, which is the first field of the one, is hardly the module in that of the other.
        let within = HloModuleProtoWithConfig::decode(bytes).ok().and_then(|outer| outer.hlo_module);
        match within.filter(|inner| !inner.computations.is_empty()) {
            Some(inner) => link(module(inner)?),
            None => Self::from_proto(bytes),
        }
    }
}

/// An index or size, which protocol buffers hold as signed numbers. A negative one is none; it becomes one that is
/// out of every range.
fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn module(proto: HloModuleProto) -> Result<RawModule, ReadError> {
    let names: HashMap<i64, String> =
        proto.computations.iter().map(|computation| (computation.id, computation.name.clone())).collect();
    let sequences = proto.schedule.as_ref().map(|schedule| &schedule.sequences);
    let aliases = proto.input_output_alias.unwrap_or_default().entries.into_iter();
    let aliases = aliases.map(|entry| Alias {
        output: entry.output_shape_index.into_iter().map(index).collect(),
        parameter: index(entry.parameter_number),
    });
    let mut raw = RawModule {
        name: proto.name,
        is_scheduled: sequences.is_some_and(|sequences| !sequences.is_empty()),
        aliases: aliases.collect(),
        computations: Vec::new(),
        entry: names.get(&proto.entry_computation_id).cloned(),
    };
    for computation in proto.computations {
        let sequence = sequences.and_then(|sequences| sequences.get(&computation.id));
        let order = sequence.map(|sequence| sequence.instruction_ids.as_slice());
        raw.computations.push(read_computation(computation, order.unwrap_or(&[]), &names)?);
    }
    Ok(raw)
}

/// Reads a computation; `order` has the numbers of its instructions as they run, or nothing.
fn read_computation(
    proto: HloComputationProto,
    order: &[i64],
    computations: &HashMap<i64, String>,
) -> Result<RawComputation, ReadError> {
    let names: HashMap<i64, String> =
        proto.instructions.iter().map(|instruction| (instruction.id, instruction.name.clone())).collect();
    let rank: HashMap<i64, usize> = order.iter().enumerate().map(|(rank, &id)| (id, rank)).collect();
    let mut instructions = proto.instructions;
    // A stable sort: without a schedule the order stays, in which operands come first.
    instructions.sort_by_key(|instruction| rank.get(&instruction.id).copied());

    let root = instructions.iter().position(|instruction| instruction.id == proto.root_id);
    let mut raw = RawComputation { name: proto.name, line: None, instructions: Vec::new(), root };
    for instruction in instructions {
        let place = || Place {
            line: None,
            computation: raw.name.clone(),
            instruction: Some(instruction.name.clone()),
        };
        let read = read_instruction(&instruction, &names, computations);
        let read = read.map_err(|problem| place().is(problem))?;
        raw.instructions.push(read);
    }
    Ok(raw)
}

fn read_instruction(
    proto: &HloInstructionProto,
    names: &HashMap<i64, String>,
    computations: &HashMap<i64, String>,
) -> Result<RawInstruction, Problem> {
    // The numbers of what is not there stand for it in the error.
    let named = |names: &HashMap<i64, String>, ids: &[i64]| -> Vec<String> {
        ids.iter().map(|id| names.get(id).cloned().unwrap_or_else(|| id.to_string())).collect()
    };
    let shape = proto.shape.as_ref().ok_or(Problem::ElementType(0))?;
    Ok(RawInstruction {
        name: proto.name.clone(),
        line: None,
        opcode: proto.opcode.clone(),
        shape: shape::read(shape)?,
        operands: named(names, &proto.operand_ids),
        called: called(&proto.opcode, named(computations, &proto.called_computation_ids)),
        control_predecessors: named(names, &proto.control_predecessor_ids),
        attributes: attributes::read(proto)?,
    })
}

/// The roles of called computations, which the message tells by their order.
fn called(opcode: &str, names: Vec<String>) -> RawCalled {
    let mut raw = RawCalled::default();
    match opcode {
        "conditional" => raw.branches = names,
        "while" => {
            let mut names = names.into_iter();
            (raw.body, raw.condition) = (names.next(), names.next());
        }
        "fusion" | "async-start" => raw.calls = names.into_iter().next(),
        // The later parts of something asynchronous name its computation once more.
        "async-update" | "async-done" => {}
        _ => raw.to_apply = names.into_iter().next(),
    }
    raw
}
