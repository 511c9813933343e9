//! Rules about one function.

use std::collections::{HashMap, HashSet};

use super::{Problem, Violation};
use crate::text::is_identifier;
use crate::{
    Attributes, FuncId, Function, LogicalAxes, Module, Op, OpId, Operation, Scopes, TensorType, ValueDef,
    ValueId, infer,
};

/// Checks one function of a module, reporting into a shared list.
pub(super) struct FunctionChecker<'a> {
    module: &'a Module,
    id: FuncId,
    function: &'a Function,
    /// Whether the types of the functions before this one can be relied on.
    sound: &'a [bool],
    violations: &'a mut Vec<Violation>,
    /// The operation being checked.
    at: Option<(OpId, &'a Operation)>,
    /// Position of the next value that no parameter or operation so far defines.
    next: usize,
    /// Whether each value is a parameter or a result.
    owned: Vec<bool>,
}

impl<'a> FunctionChecker<'a> {
    pub(super) fn new(
        module: &'a Module,
        id: FuncId,
        function: &'a Function,
        sound: &'a [bool],
        violations: &'a mut Vec<Violation>,
    ) -> Self {
        let owned = vec![false; function.values.len()];
        Self { module, id, function, sound, violations, at: None, next: 0, owned }
    }

    /// Reports a problem of the operation being checked, or of the function.
    pub(super) fn report(&mut self, problem: Problem) {
        let path = self.at.map_or("", |(_, operation)| self.module.scopes.path(operation.scope));
        self.violations.push(Violation {
            function: Some(self.id),
            function_name: self.function.name.clone(),
            op: self.at.map(|(id, _)| id),
            op_name: self.at.map_or("", |(_, operation)| operation.op.name()),
            path: path.to_string(),
            problem,
        });
    }

    /// Checks everything but the name. Returns whether all parameters and results have types, so that
    /// callers can be checked against them.
    pub(super) fn check(mut self) -> bool {
        let params_sound = self.params();
        for (index, operation) in self.function.ops.iter().enumerate() {
            self.at = Some((OpId::new(index), operation));
            self.operation(OpId::new(index), operation);
        }
        self.at = None;
        for (index, _) in std::mem::take(&mut self.owned).iter().enumerate().filter(|&(_, owned)| !owned) {
            self.report(Problem::Unowned(ValueId::new(index)));
        }
        let results_sound = self.results();
        self.donations();
        params_sound && results_sound
    }

    fn params(&mut self) -> bool {
        let mut sound = true;
        for (index, param) in self.function.params.iter().enumerate() {
            let (got, expected) = (param.value, ValueId::new(self.next));
            self.define(got, ValueDef::Param(index), Problem::ParamValue { index, got, expected });
            let Some(ty) = self.function.value_type(param.value) else {
                sound = false;
                continue;
            };
            if let Err(source) = infer::fits_memory(ty) {
                self.report(Problem::ParamType { index, source });
            }
            if let Some(axes) = mislabelled(ty, param.axes.as_ref()) {
                self.report(Problem::ParamAxes { index, ty: ty.clone(), axes });
            }
        }
        sound
    }

    /// Takes `value` as the next definition. `misplaced` is the problem if another value should be next.
    fn define(&mut self, value: ValueId, expected: ValueDef, misplaced: Problem) {
        let Some(defined) = self.function.value(value) else {
            self.report(Problem::ValueOutOfRange { value, values: self.function.values.len() });
            return;
        };
        if value.index() != self.next {
            self.report(misplaced);
        } else if defined.def != expected {
            self.report(Problem::Definition { value, got: defined.def, expected });
        }
        if let Some(owned) = self.owned.get_mut(value.index()) {
            *owned = true;
        }
        // After a gap the count goes on behind it, so that one missing value is one violation.
        self.next = self.next.max(value.index() + 1);
    }

    fn operation(&mut self, id: OpId, operation: &Operation) {
        self.names(&operation.op);
        let scope = operation.scope;
        if self.module.scopes.path(scope).is_empty() && scope != Scopes::root() {
            self.report(Problem::Scope);
        }
        let callees_usable = self.callees(&operation.op);
        let operands = self.operands(operation);
        for (index, &got) in operation.results.iter().enumerate() {
            let expected = ValueId::new(self.next);
            let misplaced = Problem::ResultValue { index, got, expected };
            self.define(got, ValueDef::Result { op: id, index }, misplaced);
        }
        if let (true, Some(operands)) = (callees_usable, operands) {
            self.types(operation, &operands);
        }
    }

    /// Reports callees that do not come before this function. Returns whether the op can be inferred.
    fn callees(&mut self, op: &Op) -> bool {
        let mut usable = true;
        for callee in op.callees() {
            match self.sound.get(callee.index()) {
                Some(&sound) => usable &= sound,
                None => {
                    let functions = self.module.functions.len();
                    self.report(match self.module.function(callee) {
                        Some(later) => Problem::LaterCallee { callee: later.name.clone() },
                        None => Problem::UnknownCallee { callee, functions },
                    });
                    usable = false;
                }
            }
        }
        usable
    }

    /// The types of the operands, if all are defined before the operation.
    fn operands(&mut self, operation: &Operation) -> Option<Vec<&'a TensorType>> {
        let values = self.function.values.len();
        let mut types = Some(Vec::with_capacity(operation.operands.len()));
        for (index, &value) in operation.operands.iter().enumerate() {
            let defined = value.index() < self.next;
            match self.function.value_type(value) {
                Some(ty) if defined => types.iter_mut().for_each(|types| types.push(ty)),
                found => {
                    types = None;
                    self.report(match found {
                        Some(_) => Problem::UseBeforeDefinition { index, value },
                        None => Problem::OperandOutOfRange { index, value, values },
                    });
                }
            }
        }
        types
    }

    fn types(&mut self, operation: &Operation, operands: &[&TensorType]) {
        let expected = match infer::infer(&operation.op, operands, self.module) {
            Ok(expected) => expected,
            Err(source) => {
                let operands = operands.iter().map(|&ty| ty.clone()).collect();
                return self.report(Problem::Inference { operands, source });
            }
        };
        if operation.results.len() != expected.len() {
            return self.report(Problem::ResultCount { got: operation.results.len(), expected });
        }
        for (index, (&value, expected)) in operation.results.iter().zip(expected).enumerate() {
            // A result out of range has been reported where it should be defined.
            if let Some(got) = self.function.value_type(value)
                && *got != expected
            {
                self.report(Problem::ResultType { index, got: got.clone(), expected });
            }
        }
    }

    fn names(&mut self, op: &Op) {
        match op {
            Op::Composite { name, attributes, decomposition: _ } => {
                if !is_identifier(name) {
                    self.report(Problem::CompositeName(name.clone()));
                }
                self.attributes(attributes);
            }
            Op::CustomCall { target, results: _, attributes, has_side_effect: _ } => {
                if target.is_empty() {
                    self.report(Problem::CustomCallTarget);
                }
                self.attributes(attributes);
            }
            Op::Constant { .. }
            | Op::Iota { .. }
            | Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Clamp
            | Op::Convert { .. }
            | Op::BitcastConvert { .. }
            | Op::BroadcastInDim { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Concatenate { .. }
            | Op::Slice { .. }
            | Op::DynamicSlice { .. }
            | Op::DynamicUpdateSlice
            | Op::Pad { .. }
            | Op::Reverse { .. }
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::DotGeneral { .. }
            | Op::Reduce { .. }
            | Op::Sort { .. }
            | Op::While { .. }
            | Op::If { .. }
            | Op::Case { .. }
            | Op::Call { .. }
            | Op::RngBitGenerator { .. }
            | Op::OptimizationBarrier
            | Op::ShardingConstraint { .. } => {}
        }
    }

    fn attributes(&mut self, attributes: &Attributes) {
        let mut seen = HashSet::new();
        for (index, (name, _)) in attributes.iter().enumerate() {
            if name.is_empty() {
                self.report(Problem::UnnamedAttribute(index));
            }
            if !seen.insert(name) {
                self.report(Problem::DuplicateAttribute(name.clone()));
            }
        }
    }

    fn results(&mut self) -> bool {
        let values = self.function.values.len();
        let mut sound = true;
        for (index, result) in self.function.results.iter().enumerate() {
            let Some(ty) = self.function.value_type(result.value) else {
                self.report(Problem::Return { index, value: result.value, values });
                sound = false;
                continue;
            };
            if let Some(axes) = mislabelled(ty, result.axes.as_ref()) {
                self.report(Problem::ResultAxes { index, ty: ty.clone(), axes });
            }
        }
        sound
    }

    fn donations(&mut self) {
        let results = self.function.results.len();
        let mut taken = HashMap::new();
        for (param, declared) in self.function.params.iter().enumerate() {
            let Some(result) = declared.donated_to else { continue };
            let Some(target) = self.function.results.get(result) else {
                self.report(Problem::DonationOutOfRange { param, result, results });
                continue;
            };
            if let Some(&first) = taken.get(&result) {
                self.report(Problem::DonatedTwice { first, again: param, result });
            } else {
                taken.insert(result, param);
            }
            let types = (self.function.value_type(declared.value), self.function.value_type(target.value));
            if let (Some(param_type), Some(result_type)) = types
                && param_type != result_type
            {
                let (param_type, result_type) = (param_type.clone(), result_type.clone());
                self.report(Problem::DonationType { param, param_type, result, result_type });
            }
        }
    }
}

/// The number of axes, if they do not label every dimension.
fn mislabelled(ty: &TensorType, axes: Option<&LogicalAxes>) -> Option<usize> {
    axes.map(|axes| axes.0.len()).filter(|&axes| axes != ty.rank())
}
