//! Modules, functions, operations and values: plain data.

use crate::{FuncId, LogicalAxes, Op, OpId, ScopeId, Scopes, TensorType, ValueId};

/// A program: functions in topological order (a function refers only to earlier ones) and their scopes.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Name of the program, an identifier.
    pub name: String,
    /// Functions; a callee comes before its callers, so there is no recursion.
    pub functions: Vec<Function>,
    /// Model paths of the operations of all functions.
    pub scopes: Scopes,
}

/// A function: parameters, operations in topological order, results.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Name, unique in the module. The entry function of a program is called `main`.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Values: first the parameters, then the operations' results in order.
    pub values: Vec<Value>,
    /// Operations; an operation uses only values that come before its own results.
    pub ops: Vec<Operation>,
    /// Results in order.
    pub results: Vec<FunctionResult>,
}

/// A parameter of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// The value that stands for it.
    pub value: ValueId,
    /// Name for people and signatures; may be empty.
    pub name: String,
    /// Logical axes of its dimensions, if declared.
    pub axes: Option<LogicalAxes>,
    /// Index of the result that takes over this parameter's buffer when the caller donates it.
    pub donated_to: Option<usize>,
}

/// A result of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionResult {
    /// The value returned.
    pub value: ValueId,
    /// Name for people and signatures; may be empty.
    pub name: String,
    /// Logical axes of its dimensions, if declared.
    pub axes: Option<LogicalAxes>,
}

/// A value: its type and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// Type.
    pub ty: TensorType,
    /// Definition.
    pub def: ValueDef,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueDef {
    /// The function's parameter of this index.
    Param(usize),
    /// A result of an operation.
    Result {
        /// The operation.
        op: OpId,
        /// Which of its results.
        index: usize,
    },
}

/// An operation applied to operands.
#[derive(Clone, PartialEq, Debug)]
pub struct Operation {
    /// What it computes.
    pub op: Op,
    /// Its operands, in the order that [`Op`] documents.
    pub operands: Vec<ValueId>,
    /// The values it defines.
    pub results: Vec<ValueId>,
    /// Model path it belongs to.
    pub scope: ScopeId,
}

/// Parameter and result types of a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FunctionType {
    /// Parameter types.
    pub params: Vec<TensorType>,
    /// Result types.
    pub results: Vec<TensorType>,
}

impl Module {
    /// An empty program called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The function of this id, unless the id belongs to another module.
    pub fn function(&self, id: FuncId) -> Option<&Function> {
        self.functions.get(id.index())
    }

    /// The id of the function called `name`.
    pub fn find(&self, name: &str) -> Option<FuncId> {
        self.functions.iter().position(|f| f.name == name).map(FuncId::new)
    }

    /// The entry function, `main`.
    pub fn entry(&self) -> Option<FuncId> {
        self.find("main")
    }

    /// Parameter and result types of a function, unless the id belongs to another module.
    pub fn function_type(&self, id: FuncId) -> Option<FunctionType> {
        self.function(id).map(Function::ty)
    }
}

impl Function {
    /// The value of this id, unless the id belongs to another function.
    pub fn value(&self, id: ValueId) -> Option<&Value> {
        self.values.get(id.index())
    }

    /// The type of a value, unless the id belongs to another function.
    pub fn value_type(&self, id: ValueId) -> Option<&TensorType> {
        self.value(id).map(|v| &v.ty)
    }

    /// Parameter and result types.
    pub fn ty(&self) -> FunctionType {
        let ty = |id: ValueId| self.value_type(id).cloned();
        FunctionType {
            params: self.params.iter().filter_map(|p| ty(p.value)).collect(),
            results: self.results.iter().filter_map(|r| ty(r.value)).collect(),
        }
    }
}
