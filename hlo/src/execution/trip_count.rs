//! How often a loop runs, where that follows from its text: a counter that starts at a constant, grows by a constant,
//! and is compared with a constant.

use std::cell::Cell;

use crate::attributes::Called;
use crate::module::{Computation, InstructionId, Module};
use crate::opcode::Opcode;

/// How many steps in all scalars are followed for a loop; compilers leave counters a few steps away.
const MAX_STEPS: usize = 1024;

/// A scalar in terms of what the loop carries.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Scalar {
    Constant(i64),
    /// A part of the loop's state plus a constant.
    State {
        index: usize,
        offset: i64,
    },
}

/// Number of runs of the body of the `while` with this number; `None` if it does not follow.
pub(super) fn derive(module: &Module, outer: &Computation, id: InstructionId) -> Option<u64> {
    let instruction = outer.instruction(id);
    let Called::While { condition, body } = instruction.called else { return None };
    let steps = &Cell::new(MAX_STEPS);
    let frame = |computation| Frame { module, computation, arguments: None, steps };
    let condition = frame(module.computation(condition));
    let body = frame(module.computation(body));
    let initial = |index| frame(outer).initial_value(*instruction.operands.first()?, index);

    let (direction, left, right) = condition.comparison(condition.computation.root)?;
    let (direction, index, offset, limit) = match (left, right) {
        (Scalar::State { index, offset }, right) => (direction, index, offset, right),
        (left, Scalar::State { index, offset }) => (mirrored(direction)?, index, offset, left),
        _ => return None,
    };
    let limit = match limit {
        Scalar::Constant(limit) => limit,
        // A limit that the loop carries along unchanged.
        Scalar::State { index, offset } => {
            let is_unchanged = body.step(index)? == 0;
            initial(index).filter(|_| is_unchanged)?.checked_add(offset)?
        }
    };
    trips(direction, initial(index)?.checked_add(offset)?, body.step(index)?, limit)
}

/// How often `value` compares with `limit` as it should, beginning at `start` and growing by `step`.
fn trips(direction: &str, start: i64, step: i64, limit: i64) -> Option<u64> {
    let (start, step, limit) = (i128::from(start), i128::from(step), i128::from(limit));
    let trips = match direction {
        "LT" if step > 0 => (limit - start + step - 1).div_euclid(step),
        "LE" if step > 0 => (limit - start).div_euclid(step) + 1,
        "GT" if step < 0 => (start - limit - step - 1).div_euclid(-step),
        "GE" if step < 0 => (start - limit).div_euclid(-step) + 1,
        "NE" if step != 0 && (limit - start) % step == 0 && (limit - start) / step >= 0 => {
            (limit - start) / step
        }
        _ => return None,
    };
    u64::try_from(trips.max(0)).ok()
}

fn mirrored(direction: &str) -> Option<&'static str> {
    Some(match direction {
        "LT" => "GT",
        "LE" => "GE",
        "GT" => "LT",
        "GE" => "LE",
        "NE" => "NE",
        _ => return None,
    })
}

/// A computation in which scalars are followed to where they come from.
struct Frame<'m> {
    module: &'m Module,
    computation: &'m Computation,
    /// Values of the parameters inside a fusion; in the loop itself the one parameter is the state.
    arguments: Option<Vec<Option<Scalar>>>,
    /// Steps left.
    steps: &'m Cell<usize>,
}

impl<'m> Frame<'m> {
    /// Of the body: by how much a run changes a part of the state.
    fn step(&self, index: usize) -> Option<i64> {
        match self.scalar(self.part(self.computation.root, index)?)? {
            Scalar::State { index: source, offset } if source == index => Some(offset),
            _ => None,
        }
    }

    /// Around the loop: the value of a part of the state before it.
    fn initial_value(&self, state: InstructionId, index: usize) -> Option<i64> {
        match self.scalar(self.part(state, index)?)? {
            Scalar::Constant(value) => Some(value),
            Scalar::State { .. } => None,
        }
    }

    /// A part of a tuple that is made here.
    fn part(&self, tuple: InstructionId, index: usize) -> Option<InstructionId> {
        let tuple = self.computation.instruction(self.computation.behind_views(tuple));
        tuple.operands.get(index).copied().filter(|_| tuple.opcode == Opcode::Tuple)
    }

    fn scalar(&self, id: InstructionId) -> Option<Scalar> {
        self.steps.set(self.steps.get().checked_sub(1)?);
        let instruction = self.computation.instruction(id);
        let operand = |number: usize| self.scalar(*instruction.operands.get(number)?);
        match &instruction.opcode {
            Opcode::Constant => instruction.attributes.integer.map(Scalar::Constant),
            Opcode::Parameter => *self.arguments.as_ref()?.get(instruction.attributes.parameter?)?,
            Opcode::GetTupleElement => {
                let source = self.computation.instruction(*instruction.operands.first()?);
                let index = instruction.attributes.tuple_index?;
                match source.opcode {
                    Opcode::Parameter if self.arguments.is_none() => Some(Scalar::State { index, offset: 0 }),
                    Opcode::Tuple => self.scalar(*source.operands.get(index)?),
                    _ => None,
                }
            }
            Opcode::Bitcast | Opcode::Copy | Opcode::CopyStart | Opcode::CopyDone | Opcode::Reshape => {
                operand(0)
            }
            Opcode::Elementwise("convert") => operand(0),
            Opcode::Elementwise("add") => match (operand(0)?, operand(1)?) {
                (Scalar::Constant(a), Scalar::Constant(b)) => Some(Scalar::Constant(a.checked_add(b)?)),
                (Scalar::State { index, offset }, Scalar::Constant(constant))
                | (Scalar::Constant(constant), Scalar::State { index, offset }) => {
                    Some(Scalar::State { index, offset: offset.checked_add(constant)? })
                }
                _ => None,
            },
            Opcode::Elementwise("subtract") => match (operand(0)?, operand(1)?) {
                (Scalar::Constant(a), Scalar::Constant(b)) => Some(Scalar::Constant(a.checked_sub(b)?)),
                (Scalar::State { index, offset }, Scalar::Constant(constant)) => {
                    Some(Scalar::State { index, offset: offset.checked_sub(constant)? })
                }
                _ => None,
            },
            Opcode::Fusion => {
                let inside = self.inside_fusion(id)?;
                inside.scalar(inside.computation.root)
            }
            _ => None,
        }
    }

    fn comparison(&self, id: InstructionId) -> Option<(&'m str, Scalar, Scalar)> {
        self.steps.set(self.steps.get().checked_sub(1)?);
        let instruction = self.computation.instruction(self.computation.behind_views(id));
        match (&instruction.opcode, instruction.operands.as_slice()) {
            (Opcode::Elementwise("compare"), &[left, right]) => {
                let direction = instruction.attributes.direction.as_deref()?;
                Some((direction, self.scalar(left)?, self.scalar(right)?))
            }
            (Opcode::Fusion, _) => {
                let inside = self.inside_fusion(self.computation.behind_views(id))?;
                inside.comparison(inside.computation.root)
            }
            _ => None,
        }
    }

    fn inside_fusion(&self, id: InstructionId) -> Option<Frame<'m>> {
        let fusion = self.computation.instruction(id);
        let Called::Calls(callee) = fusion.called else { return None };
        let arguments = fusion.operands.iter().map(|&operand| self.scalar(operand)).collect();
        Some(Frame {
            module: self.module,
            computation: self.module.computation(callee),
            arguments: Some(arguments),
            steps: self.steps,
        })
    }
}
