//! Building functions: every insertion infers its result types or fails with the model path.

mod control;
mod ops;

use crate::infer::{self, InferError, Operands};
use crate::scope::location;
use crate::{
    FuncId, Function, FunctionResult, LogicalAxes, Module, Op, OpId, Operation, Param, ScopeId, Scopes,
    TensorType, Value, ValueDef, ValueId,
};

/// An operation that cannot be inserted: what, where in the model, on which operands, and why.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("`{op}` at {location}{}: {source}", Operands("on", .operands))]
pub struct BuildError {
    /// Name of the op.
    pub op: &'static str,
    /// Function and model path, such as `main: layers.7.self_attn.q_proj`.
    pub location: String,
    /// Types of the operands.
    pub operands: Vec<TensorType>,
    /// What is wrong.
    #[source]
    pub source: InferError,
}

/// Builds one function of a module.
///
/// Parameters come first, then operations through [`FunctionBuilder::push`] or the named methods, then
/// [`FunctionBuilder::finish`]. Bodies of `reduce`, `while` and the like are built on the way with
/// [`FunctionBuilder::nested`].
#[derive(Debug)]
pub struct FunctionBuilder<'m> {
    module: &'m mut Module,
    function: Function,
    scope: ScopeId,
}

impl<'m> FunctionBuilder<'m> {
    /// Starts a function called `name` (made unique by a number if the module has one of that name).
    pub fn new(module: &'m mut Module, name: &str) -> Self {
        let mut unique = name.to_string();
        let mut number = 1;
        while module.find(&unique).is_some() {
            unique = format!("{name}.{number}");
            number += 1;
        }
        Self { module, function: Function { name: unique, ..Function::default() }, scope: Scopes::root() }
    }

    /// Adds a parameter.
    pub fn param(&mut self, name: &str, ty: TensorType) -> ValueId {
        self.labelled_param(name, ty, None)
    }

    /// Adds a parameter whose dimensions have logical axes.
    pub fn labelled_param(&mut self, name: &str, ty: TensorType, axes: Option<LogicalAxes>) -> ValueId {
        let value = self.add_value(ty, ValueDef::Param(self.function.params.len()));
        self.function.params.push(Param { value, name: name.to_string(), axes, donated_to: None });
        value
    }

    /// Declares that the caller donates parameter `param` and result `result` takes over its buffer.
    pub fn donate(&mut self, param: usize, result: usize) {
        if let Some(param) = self.function.params.get_mut(param) {
            param.donated_to = Some(result);
        }
    }

    /// The type of a value.
    ///
    /// # Errors
    /// If `value` is not a value of this function.
    pub fn ty(&self, value: ValueId) -> Result<TensorType, BuildError> {
        self.function
            .value_type(value)
            .cloned()
            .ok_or_else(|| self.error("value", Vec::new(), InferError::UnknownValue(value)))
    }

    /// The module being built.
    pub fn module(&self) -> &Module {
        self.module
    }

    /// Runs `build` with `name` appended to the model path.
    pub fn scoped<R>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.scope;
        self.scope = self.module.scopes.child(outer, name);
        let result = build(self);
        self.scope = outer;
        result
    }

    /// Builds another function of the module, at the current model path.
    ///
    /// # Errors
    /// Whatever `build` returns.
    pub fn nested<E>(
        &mut self,
        name: &str,
        build: impl FnOnce(&mut FunctionBuilder<'_>) -> Result<Vec<ValueId>, E>,
    ) -> Result<FuncId, E> {
        let mut nested = FunctionBuilder::new(self.module, name);
        nested.scope = self.scope;
        let results = build(&mut nested)?;
        Ok(nested.finish(&results))
    }

    /// The function called `name`, built when the module first needs it. It is at the root of the model path:
    /// many places use it, and none of them owns it.
    ///
    /// # Errors
    /// Whatever `build` returns.
    pub fn shared<E>(
        &mut self,
        name: &str,
        build: impl FnOnce(&mut FunctionBuilder<'_>) -> Result<Vec<ValueId>, E>,
    ) -> Result<FuncId, E> {
        if let Some(existing) = self.module.find(name) {
            return Ok(existing);
        }
        let mut shared = FunctionBuilder::new(self.module, name);
        let results = build(&mut shared)?;
        Ok(shared.finish(&results))
    }

    /// Applies `op` to `operands`, returning its results.
    ///
    /// # Errors
    /// If the op does not apply to operands of these types.
    pub fn push(&mut self, op: Op, operands: &[ValueId]) -> Result<Vec<ValueId>, BuildError> {
        let types = operands.iter().map(|&v| self.ty(v)).collect::<Result<Vec<_>, _>>()?;
        let refs: Vec<&TensorType> = types.iter().collect();
        let inferred = match infer::infer(&op, &refs, self.module) {
            Ok(inferred) => inferred,
            Err(source) => return Err(self.error(op.name(), types, source)),
        };
        let id = OpId::new(self.function.ops.len());
        let results: Vec<ValueId> = inferred
            .into_iter()
            .enumerate()
            .map(|(index, ty)| self.add_value(ty, ValueDef::Result { op: id, index }))
            .collect();
        let operation =
            Operation { op, operands: operands.to_vec(), results: results.clone(), scope: self.scope };
        self.function.ops.push(operation);
        Ok(results)
    }

    /// Ends the function with unnamed results and adds it to the module.
    pub fn finish(self, results: &[ValueId]) -> FuncId {
        let results =
            results.iter().map(|&value| FunctionResult { value, name: String::new(), axes: None }).collect();
        self.finish_with(results)
    }

    /// Ends the function with named and labelled results and adds it to the module.
    pub fn finish_with(mut self, results: Vec<FunctionResult>) -> FuncId {
        self.function.results = results;
        let id = FuncId::new(self.module.functions.len());
        self.module.functions.push(self.function);
        id
    }

    fn add_value(&mut self, ty: TensorType, def: ValueDef) -> ValueId {
        let id = ValueId::new(self.function.values.len());
        self.function.values.push(Value { ty, def });
        id
    }

    /// Applies an op with exactly one result.
    fn one(&mut self, op: Op, operands: &[ValueId]) -> Result<ValueId, BuildError> {
        let name = op.name();
        let results = self.push(op, operands)?;
        self.nth(name, &results, 0)
    }

    /// The `index`-th of an op's results.
    pub(crate) fn nth(
        &self,
        op: &'static str,
        results: &[ValueId],
        index: usize,
    ) -> Result<ValueId, BuildError> {
        results.get(index).copied().ok_or_else(|| {
            let source = InferError::ResultCount { expected: index + 1, got: results.len() };
            self.error(op, Vec::new(), source)
        })
    }

    /// An error at the current model path.
    pub(crate) fn error(
        &self,
        op: &'static str,
        operands: Vec<TensorType>,
        source: InferError,
    ) -> BuildError {
        let location = location(&self.function.name, self.module.scopes.path(self.scope));
        BuildError { op, location, operands, source }
    }
}
