//! The reference interpreter: evaluates any function without a plugin.
//!
//! It is slow, obvious and right, the oracle for everything that computes. Ops mean what the StableHLO
//! specification says, and what XLA does where the specification leaves it open (integer division by zero,
//! shifts beyond the width, saturating conversions, the bits of `rng_bit_generator`). Elements are computed
//! in the widest type of their family and rounded to their own once an op. That makes results for narrow
//! types *more* accurate than a target's, which is what an oracle is for; dots and single elementwise ops
//! agree to the last bit or so, chains of transcendental functions to their conditioning.
//!
//! Nothing panics on a module that breaks the rules: ids, types and attributes are checked on the way, and
//! an [`EvalError`] names the op and its model path. That makes it an oracle for inference, too, since it
//! finds result types from the elements it has computed and not from [`crate::infer`].

mod bits;
mod body;
mod control;
mod dot;
mod dynamic;
mod elementwise;
mod error;
mod frame;
mod gather;
mod index;
mod reduce;
mod rng;
mod scalar;
mod scatter;
mod sort;
mod start_indices;
mod structure;
mod tensor;
#[cfg(test)]
mod tests;

pub use error::{EvalError, Fault};
pub use tensor::{Tensor, TensorError};

use crate::{Attributes, FuncId, Module, TensorType};

/// Evaluates a function of `module` within the default [`Limits`] and without custom calls.
///
/// # Errors
/// If the arguments do not have the parameters' types, or the module breaks its rules, or exceeds a limit.
pub fn evaluate(module: &Module, function: FuncId, arguments: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    Interpreter::new(module).evaluate(function, arguments)
}

/// Bounds that keep a faulty program from taking the machine with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most elements a tensor may have. An element takes 32 bytes here.
    pub max_elements: usize,
    /// Most iterations a `while` may run.
    pub max_iterations: usize,
}

impl Default for Limits {
    /// Half a GiB a tensor, and as many iterations as a test has patience for.
    fn default() -> Self {
        Self { max_elements: 1 << 24, max_iterations: 1 << 20 }
    }
}

impl Limits {
    /// Fails for a tensor that is too large, or empty but of absurd dimensions.
    fn admit(&self, ty: &TensorType) -> Result<(), Fault> {
        let size = ty.dims.iter().fold(1usize, |n, &dim| n.saturating_mul(dim.max(1)));
        if size > self.max_elements {
            return Err(Fault::TooLarge { ty: ty.clone(), limit: self.max_elements });
        }
        Ok(())
    }
}

/// What custom calls compute.
pub trait CustomCalls {
    /// The results of the custom call `target`, which are to have the types `results`; `None` if `target`
    /// is unknown, `Some(Err)` with a message if it fails.
    fn call(
        &self,
        target: &str,
        attributes: &Attributes,
        operands: &[Tensor],
        results: &[TensorType],
    ) -> Option<Result<Vec<Tensor>, String>>;
}

/// An interpreter of one module.
pub struct Interpreter<'a> {
    module: &'a Module,
    limits: Limits,
    custom_calls: Option<&'a dyn CustomCalls>,
}

impl<'a> Interpreter<'a> {
    /// An interpreter with the default [`Limits`] and without custom calls.
    pub fn new(module: &'a Module) -> Self {
        Self { module, limits: Limits::default(), custom_calls: None }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with custom calls.
    #[must_use]
    pub fn with_custom_calls(mut self, custom_calls: &'a dyn CustomCalls) -> Self {
        self.custom_calls = Some(custom_calls);
        self
    }

    /// Evaluates a function.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn evaluate(&self, function: FuncId, arguments: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
        frame::Frame::entry(self, function).evaluate(arguments)
    }
}
