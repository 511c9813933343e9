//! Elements of tuples as operands: `%tuple#1`, which newer versions of XLA print in place of an instruction.

use std::collections::HashMap;

use crate::attributes::Attributes;
use crate::link::{RawCalled, RawInstruction};
use crate::shape::Shape;

/// The instructions of a computation as they are read, with one for every element of a tuple that is an operand.
#[derive(Default)]
pub(super) struct Instructions {
    all: Vec<RawInstruction>,
    by_name: HashMap<String, usize>,
}

impl Instructions {
    /// Adds an instruction, after those for the elements that it takes. Returns its number.
    pub(super) fn push(&mut self, instruction: RawInstruction) -> usize {
        for operand in &instruction.operands {
            if !self.by_name.contains_key(operand)
                && let Some(element) = self.element(operand, instruction.line)
            {
                self.push(element);
            }
        }
        let number = self.all.len();
        self.by_name.insert(instruction.name.clone(), number);
        self.all.push(instruction);
        number
    }

    /// The instruction that `tuple#index` stands for, if there is such a tuple.
    fn element(&self, operand: &str, line: Option<usize>) -> Option<RawInstruction> {
        let (tuple, index) = operand.rsplit_once('#')?;
        let index: usize = index.parse().ok()?;
        let Shape::Tuple(elements) = &self.all.get(*self.by_name.get(tuple)?)?.shape else { return None };
        Some(RawInstruction {
            name: operand.to_string(),
            line,
            opcode: "get-tuple-element".to_string(),
            shape: elements.get(index)?.clone(),
            operands: vec![tuple.to_string()],
            called: RawCalled::default(),
            control_predecessors: Vec::new(),
            attributes: Attributes { tuple_index: Some(index), ..Attributes::default() },
        })
    }

    pub(super) fn into_vec(self) -> Vec<RawInstruction> {
        self.all
    }
}
