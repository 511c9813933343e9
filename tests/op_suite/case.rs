//! Cases: small functions with inputs.

use lapidary::graph::interp::Tensor;
use lapidary::graph::{BuildError, DType, FunctionBuilder, Module, ValueId};

use crate::tolerance::Tolerance;

type Build = dyn Fn(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<Vec<ValueId>, BuildError>;

/// One function, the inputs it is tried on, and how exactly the plugin must agree with the interpreter.
pub(crate) struct Case {
    /// The op, or the form of it, that the case is about.
    pub(crate) subject: String,
    /// The element type it is tried with.
    pub(crate) dtype: DType,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) tolerance: Tolerance,
    build: Box<Build>,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.subject, self.dtype)
    }

    /// Adds the case's function to `module`, parameters being the inputs.
    pub(crate) fn add_to(
        &self,
        module: &mut Module,
        name: &str,
    ) -> Result<lapidary::graph::FuncId, BuildError> {
        let mut builder = FunctionBuilder::new(module, name);
        let params: Vec<ValueId> = self.inputs.iter().map(|input| builder.param("", input.ty())).collect();
        let results = builder.scoped(&self.name(), |b| (self.build)(b, &params))?;
        Ok(builder.finish(&results))
    }
}

/// Cases in order.
#[derive(Default)]
pub(crate) struct Suite {
    pub(crate) cases: Vec<Case>,
}

impl Suite {
    /// Adds a case, unless inference refuses it: which element types an op takes is its business, and
    /// `coverage.txt` says what came of it.
    pub(crate) fn add(
        &mut self,
        subject: impl Into<String>,
        dtype: DType,
        inputs: Vec<Tensor>,
        tolerance: Tolerance,
        build: impl Fn(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<Vec<ValueId>, BuildError> + 'static,
    ) {
        let case = Case { subject: subject.into(), dtype, inputs, tolerance, build: Box::new(build) };
        if case.add_to(&mut Module::new("trial"), "main").is_ok() {
            self.cases.push(case);
        }
    }

    pub(crate) fn extend(&mut self, other: Suite) {
        self.cases.extend(other.cases);
    }
}
