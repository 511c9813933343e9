//! Floating-point operations: those of dots and convolutions, which matrix units do, and the others.
//!
//! A multiplication and an addition are two operations. Of a convolution only those places of the window count that
//! lie on the input: TPU programs write batched dots as convolutions that mostly see padding. A dot that the compiler
//! took apart into products and a sum, as it does with a single row, counts as elementwise: no matrix unit does it.

mod convolution;

use std::ops::{Add, AddAssign, Mul};

use serde::Serialize;

use crate::attributes::{Called, DotDimensions};
use crate::module::{Computation, ComputationId, Instruction, Module};
use crate::opcode::Opcode;

/// Floating-point operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Flops {
    /// Of dots and convolutions.
    pub dot: u64,
    /// Of arithmetic on elements and of reductions, one for each element; conversions are none.
    pub elementwise: u64,
}

impl Add for Flops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            dot: self.dot.saturating_add(other.dot),
            elementwise: self.elementwise.saturating_add(other.elementwise),
        }
    }
}

impl AddAssign for Flops {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Flops {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self { dot: self.dot.saturating_mul(times), elementwise: self.elementwise.saturating_mul(times) }
    }
}

/// Operations of the instructions of a module.
pub(crate) struct FlopsModel {
    /// For each computation, of all its instructions.
    computations: Vec<Flops>,
}

impl FlopsModel {
    pub(crate) fn new(module: &Module) -> Self {
        let mut model = Self { computations: Vec::new() };
        // Callees come first, so that what is fused is known.
        for (_, computation) in module.computations() {
            let instructions = computation.instructions();
            let sum = instructions.map(|(_, instruction)| model.of(computation, instruction));
            let sum = sum.fold(Flops::default(), Add::add);
            model.computations.push(sum);
        }
        model
    }

    fn of_computation(&self, id: ComputationId) -> Flops {
        self.computations[id.0 as usize]
    }

    /// Operations of one run of an instruction, without the computations that it runs.
    pub(crate) fn of(&self, computation: &Computation, instruction: &Instruction) -> Flops {
        if instruction.opcode.is_free() {
            return Flops::default();
        }
        let result = || instruction.result().map_or(0, |result| result.elements());
        let operand = |number: usize| instruction.operands.get(number).map(|&id| computation.instruction(id));
        let operand_elements = || operand(0).map_or(0, |operand| operand.shape.elements());
        let elementwise = |elementwise| Flops { dot: 0, elementwise };
        let attributes = &instruction.attributes;
        match (instruction.operation(), &instruction.called) {
            (Opcode::Fusion, &Called::Calls(callee)) => self.of_computation(callee),
            (Opcode::Dot, _) => {
                let contracted = operand(0).and_then(|lhs| contracted(lhs, attributes.dot.as_ref()?));
                Flops { dot: saturating(2 * u128::from(result()) * contracted.unwrap_or(1)), elementwise: 0 }
            }
            (Opcode::Convolution, _) => {
                let flops = attributes.convolution.as_ref().zip(operand(0)).zip(operand(1));
                let flops = flops.and_then(|((convolution, input), kernel)| {
                    convolution::flops(convolution, instruction.result()?, &input.shape, &kernel.shape)
                });
                Flops { dot: flops.unwrap_or(0), elementwise: 0 }
            }
            (Opcode::Elementwise("convert" | "bitcast-convert"), _) => Flops::default(),
            (Opcode::Elementwise(_), _) => elementwise(result()),
            // One operation for each element at least; a window that slides may cost more.
            (Opcode::Reduce | Opcode::ReduceWindow, _) => elementwise(operand_elements()),
            _ => Flops::default(),
        }
    }
}

/// Product of the sizes that a dot sums over.
fn contracted(lhs: &Instruction, dot: &DotDimensions) -> Option<u128> {
    let dimensions = &lhs.shape.as_array()?.dimensions;
    let sizes = dot.lhs_contracting.iter().map(|&dimension| dimensions.get(dimension).copied());
    sizes.map(|size| size.map(u128::from)).try_fold(1_u128, |product, size| product.checked_mul(size?))
}

fn saturating(flops: u128) -> u64 {
    u64::try_from(flops).unwrap_or(u64::MAX)
}
