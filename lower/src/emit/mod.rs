//! Functions and operations to text.

mod cache_write;
mod call;
mod control;
mod decoding;
mod dot;
mod extremum;
mod indexing;
mod merged_rows;
mod ops;
mod padding;
mod single_batch;
mod statement;
mod zeros;

use lapidary_graph::op::BinaryKind;
use lapidary_graph::{DType, FuncId, Function, Module, Operation, TensorType, ValueId};

use crate::mlir::{Location, Names, Types, Value, Writer};
use crate::sharding::Placement;
use crate::{LowerError, LoweredComposite, Target};

pub(crate) use statement::{Signature, Site};

/// How deeply functions may be inlined into one another. Every level is recursion here and in the
/// plugin's parser; real programs nest a handful of levels.
const MAX_NESTING: usize = 64;

/// Writes the operations of one module.
pub(crate) struct Emitter<'a> {
    pub(crate) writer: Writer<'a>,
    pub(crate) module: &'a Module,
    pub(crate) target: &'a Target,
    pub(crate) placement: Option<&'a Placement<'a>>,
    /// Functions that the text calls, in the order in which it first does.
    pub(crate) called: Vec<FuncId>,
    /// What became of each composite so far.
    pub(crate) composites: Vec<LoweredComposite>,
    nesting: usize,
}

/// A function while its operations are written: the text's value of each of its values so far.
struct Frame<'a> {
    function: &'a Function,
    values: Vec<Option<Value>>,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(
        writer: Writer<'a>,
        module: &'a Module,
        target: &'a Target,
        placement: Option<&'a Placement<'a>>,
    ) -> Self {
        Self { writer, module, target, placement, called: Vec::new(), composites: Vec::new(), nesting: 0 }
    }

    /// Writes the operations of function `id` applied to `arguments` here, and gives its results.
    pub(crate) fn inline(&mut self, id: FuncId, arguments: &[Value]) -> Result<Vec<Value>, LowerError> {
        let function = self.function(id)?;
        if self.nesting == MAX_NESTING {
            let function = function.name.clone();
            return Err(LowerError::NestedTooDeeply { function, limit: MAX_NESTING });
        }
        self.nesting += 1;
        let mut frame = Frame { function, values: vec![None; function.values.len()] };
        for (param, argument) in function.params.iter().zip(arguments) {
            frame.define(param.value, argument.clone())?;
        }
        for operation in &function.ops {
            let results = self.operation(&frame, operation)?;
            for (&id, value) in operation.results.iter().zip(results) {
                frame.define(id, value)?;
            }
        }
        self.nesting -= 1;
        function.results.iter().map(|result| frame.value(result.value)).collect()
    }

    /// Writes function `id` as the body of a region whose block arguments are its parameters.
    fn block(&mut self, id: FuncId) -> Result<(), LowerError> {
        let arguments = self.block_arguments(self.function(id)?.ty().params)?;
        self.region_body(id, &arguments)
    }

    /// Writes a region's body that combines its two arguments, scalars of `dtype`, into one.
    fn combining(&mut self, site: &Site<'_>, kind: BinaryKind, dtype: DType) -> Result<(), LowerError> {
        let scalar = TensorType::scalar(dtype);
        let arguments = self.block_arguments(vec![scalar.clone(), scalar.clone()])?;
        self.writer.indent();
        let results = self.binary(&site.beside(arguments, scalar), kind)?;
        self.return_values("stablehlo.return", &results)?;
        self.writer.dedent();
        Ok(())
    }

    /// Starts a region's block, which takes arguments of these types.
    fn block_arguments(&mut self, types: Vec<TensorType>) -> Result<Vec<Value>, LowerError> {
        let arguments: Vec<Value> = types.into_iter().map(|ty| self.writer.fresh(ty)).collect();
        if !arguments.is_empty() {
            self.writer.start_line()?;
            for (i, argument) in arguments.iter().enumerate() {
                let before = if i == 0 { "^bb0(" } else { ", " };
                let ty = crate::mlir::Type(&argument.ty);
                self.writer.text(format_args!("{before}{}: {ty}", argument.name))?;
            }
            self.writer.text(format_args!("):\n"))?;
        }
        Ok(arguments)
    }

    /// Writes function `id` applied to `arguments` as the body of a region.
    fn region_body(&mut self, id: FuncId, arguments: &[Value]) -> Result<(), LowerError> {
        self.writer.indent();
        let results = self.inline(id, arguments)?;
        self.return_values("stablehlo.return", &results)?;
        self.writer.dedent();
        Ok(())
    }

    /// Writes a terminator.
    pub(crate) fn return_values(&mut self, mnemonic: &str, values: &[Value]) -> Result<(), LowerError> {
        if values.is_empty() {
            return self.writer.line(format_args!("{mnemonic}"));
        }
        let types: Vec<TensorType> = values.iter().map(|value| value.ty.clone()).collect();
        self.writer.line(format_args!("{mnemonic} {} : {}", Names(values), Types(&types)))
    }

    pub(crate) fn function(&self, id: FuncId) -> Result<&'a Function, LowerError> {
        self.module.function(id).ok_or_else(|| LowerError::Unverified(format!("there is no function {id}")))
    }

    fn site<'s>(&self, frame: &'s Frame<'_>, operation: &'s Operation) -> Result<Site<'s>, LowerError>
    where
        'a: 's,
    {
        let operands = operation.operands.iter().map(|&id| frame.value(id)).collect::<Result<_, _>>()?;
        let results = operation.results.iter().map(|&id| frame.ty(id)).collect::<Result<_, _>>()?;
        let path = self.module.scopes.path(operation.scope);
        let location = Location { path, op: operation.op.name() };
        Ok(Site { operands, results, location, function: &frame.function.name })
    }
}

impl Frame<'_> {
    fn define(&mut self, id: ValueId, value: Value) -> Result<(), LowerError> {
        let slot = self.values.get_mut(id.index()).ok_or_else(|| undefined(self.function, id))?;
        *slot = Some(value);
        Ok(())
    }

    fn value(&self, id: ValueId) -> Result<Value, LowerError> {
        self.values.get(id.index()).cloned().flatten().ok_or_else(|| undefined(self.function, id))
    }

    fn ty(&self, id: ValueId) -> Result<TensorType, LowerError> {
        self.function.value_type(id).cloned().ok_or_else(|| undefined(self.function, id))
    }
}

/// The error for a value that its function does not define before its use.
fn undefined(function: &Function, id: ValueId) -> LowerError {
    LowerError::Unverified(format!("{id} is used in `{}` but not defined before", function.name))
}
