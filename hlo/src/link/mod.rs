//! From what the readers find, names and all, to a linked module.

mod order;

use std::collections::HashMap;

use crate::attributes::{Attributes, Called};
use crate::error::{Place, Problem, ReadError};
use crate::module::{Alias, Computation, ComputationId, Instruction, InstructionId, Module};
use crate::opcode::Opcode;
use crate::shape::Shape;

/// A module whose parts refer to each other by name.
#[derive(Default)]
pub(crate) struct RawModule {
    pub name: String,
    pub is_scheduled: bool,
    pub aliases: Vec<Alias>,
    pub computations: Vec<RawComputation>,
    pub entry: Option<String>,
}

#[derive(Default)]
pub(crate) struct RawComputation {
    pub name: String,
    pub line: Option<usize>,
    pub instructions: Vec<RawInstruction>,
    /// Number of the instruction that is the result; the last one if nothing is said.
    pub root: Option<usize>,
}

pub(crate) struct RawInstruction {
    pub name: String,
    pub line: Option<usize>,
    pub opcode: String,
    pub shape: Shape,
    pub operands: Vec<String>,
    pub called: RawCalled,
    pub control_predecessors: Vec<String>,
    pub attributes: Attributes,
}

/// The computations that an instruction names, by the attribute that names them.
#[derive(Default)]
pub(crate) struct RawCalled {
    pub calls: Option<String>,
    pub to_apply: Option<String>,
    pub condition: Option<String>,
    pub body: Option<String>,
    pub branches: Vec<String>,
}

impl RawCalled {
    fn names(&self) -> impl Iterator<Item = &String> {
        let single = [&self.calls, &self.to_apply, &self.condition, &self.body];
        single.into_iter().flatten().chain(&self.branches)
    }
}

impl RawComputation {
    fn place(&self) -> Place {
        Place { line: self.line, computation: self.name.clone(), instruction: None }
    }

    fn place_of(&self, instruction: &RawInstruction) -> Place {
        Place {
            line: instruction.line,
            computation: self.name.clone(),
            instruction: Some(instruction.name.clone()),
        }
    }
}

/// Links a module.
pub(crate) fn link(raw: RawModule) -> Result<Module, ReadError> {
    let RawModule { name, is_scheduled, aliases, computations, entry } = raw;
    let order = order::callees_first(&computations, entry.as_deref())?;
    let ids: HashMap<String, ComputationId> = order
        .iter()
        .enumerate()
        .map(|(position, &index)| (computations[index].name.clone(), ComputationId(position as u32)))
        .collect();
    let entry = entry.and_then(|entry| ids.get(&entry).copied());
    let entry = entry.ok_or_else(|| Place::default().is(Problem::NoEntry))?;

    let mut unlinked: Vec<Option<RawComputation>> = computations.into_iter().map(Some).collect();
    let mut linked: Vec<Computation> = Vec::with_capacity(unlinked.len());
    for index in order {
        if let Some(raw) = unlinked[index].take() {
            linked.push(computation(raw, &ids, &linked)?);
        }
    }
    Ok(Module { name, is_scheduled, aliases, computations: linked, entry })
}

fn computation(
    mut raw: RawComputation,
    ids: &HashMap<String, ComputationId>,
    callees: &[Computation],
) -> Result<Computation, ReadError> {
    let root = raw.root.or(raw.instructions.len().checked_sub(1));
    let root = root.ok_or_else(|| raw.place().is(Problem::NoRoot))?;
    let mut known: HashMap<String, InstructionId> = HashMap::with_capacity(raw.instructions.len());
    let mut instructions = Vec::with_capacity(raw.instructions.len());
    for raw_instruction in std::mem::take(&mut raw.instructions) {
        let place = raw.place_of(&raw_instruction);
        let operand = |name: &String| {
            known.get(name).copied().ok_or_else(|| place.clone().is(Problem::Operand(name.clone())))
        };
        for array in raw_instruction.shape.arrays() {
            array.validate().map_err(|problem| place.clone().is(problem))?;
        }
        let operands = raw_instruction.operands.iter().map(operand).collect::<Result<_, _>>()?;
        let predecessors =
            raw_instruction.control_predecessors.iter().map(operand).collect::<Result<_, _>>()?;
        let (opcode, wrapped) = Opcode::from_name(&raw_instruction.opcode);
        let called = called(&raw_instruction.called, wrapped.as_ref().unwrap_or(&opcode), ids)
            .map_err(|problem| place.clone().is(problem))?;
        let mut instruction = Instruction {
            name: raw_instruction.name,
            opcode,
            wrapped,
            shape: raw_instruction.shape,
            operands,
            called,
            attributes: raw_instruction.attributes,
        };
        instruction.attributes.control_predecessors = predecessors;
        unwrap_asynchronous(&mut instruction, callees);

        let id = InstructionId(instructions.len() as u32);
        if known.insert(instruction.name.clone(), id).is_some() {
            return Err(place.is(Problem::Duplicate));
        }
        instructions.push(instruction);
    }
    Ok(Computation { name: raw.name, instructions, root: InstructionId(root as u32) })
}

/// The computations called, by the role that they have for the operation.
fn called(
    raw: &RawCalled,
    operation: &Opcode,
    ids: &HashMap<String, ComputationId>,
) -> Result<Called, Problem> {
    let id = |name: &String| ids.get(name).copied().ok_or_else(|| Problem::Computation(name.clone()));
    let needs = |opcode: &'static str, needs: &'static str| Problem::Called { opcode, needs };
    match (operation, &raw.condition, &raw.body) {
        (Opcode::While, Some(condition), Some(body)) => {
            return Ok(Called::While { condition: id(condition)?, body: id(body)? });
        }
        (Opcode::While, ..) => return Err(needs("while", "`condition` and `body`")),
        _ => {}
    }
    match (operation, &raw.calls, &raw.to_apply) {
        (Opcode::Conditional, ..) if raw.branches.is_empty() => Err(needs("conditional", "branches")),
        (Opcode::Conditional, ..) => {
            Ok(Called::Branches(raw.branches.iter().map(id).collect::<Result<_, _>>()?))
        }
        (Opcode::Call, Some(name), None) | (Opcode::Call, None, Some(name)) => Ok(Called::ToApply(id(name)?)),
        (Opcode::Call, ..) => Err(needs("call", "`to_apply`")),
        (_, Some(name), _) => Ok(Called::Calls(id(name)?)),
        (Opcode::Fusion, None, _) => Err(needs("fusion", "`calls`")),
        (_, None, Some(name)) => Ok(Called::ToApply(id(name)?)),
        (_, None, None) => Ok(Called::None),
    }
}

/// Gives an `async-start` the attributes of the one operation in the computation that it calls, as the short
/// form (`slice-start`) has them. A computation of several operations is a call.
fn unwrap_asynchronous(start: &mut Instruction, callees: &[Computation]) {
    let (Opcode::AsyncStart, None, Called::Calls(id)) = (&start.opcode, &start.wrapped, &start.called) else {
        return;
    };
    let id = *id;
    let Some(callee) = callees.get(id.0 as usize) else { return };
    let root = callee.root();
    let is_wrapper = callee
        .instructions()
        .all(|(instruction, item)| instruction == callee.root || item.opcode == Opcode::Parameter);
    if !is_wrapper {
        start.wrapped = Some(Opcode::Call);
        start.called = Called::ToApply(id);
        return;
    }
    match &root.opcode {
        Opcode::Collective(kind) => start.opcode = Opcode::CollectiveStart(*kind),
        other => start.wrapped = Some(other.clone()),
    }
    start.called = root.called.clone();
    let control_predecessors = std::mem::take(&mut start.attributes.control_predecessors);
    let own = std::mem::replace(&mut start.attributes, root.attributes.clone());
    start.attributes.control_predecessors = control_predecessors;
    if !own.metadata.op_name.is_empty() {
        start.attributes.metadata = own.metadata;
    }
}
