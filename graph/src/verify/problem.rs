//! What can be wrong with a module.

use std::fmt;

use crate::count::Count;
use crate::infer::{InferError, Operands, TypeList};
use crate::{FuncId, TensorType, ValueDef, ValueId};

/// What is wrong, without where. [`Problem::rule`] gives the number of the rule in [`crate::verify`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The module's name is no identifier.
    #[error("module name {0:?} is not an identifier: expected a letter or _, then letters, digits, _ . $")]
    ModuleName(String),
    /// A function's name is no identifier.
    #[error("function name {0:?} is not an identifier: expected a letter or _, then letters, digits, _ . $")]
    FunctionName(String),
    /// Two functions have one name.
    #[error("function {} has this name already, expected every name once", .first.index())]
    DuplicateFunction {
        /// The function that had the name first.
        first: FuncId,
    },
    /// An op refers to its own function or a later one.
    #[error("refers to @{}, expected a function before this one: callees precede their callers", .callee.escape_debug())]
    LaterCallee {
        /// Name of the function referred to.
        callee: String,
    },
    /// An op refers to a function that the module lacks.
    #[error("refers to function {}, but the module has {}", .callee.index(), Count(*.functions, "function", "functions"))]
    UnknownCallee {
        /// The function referred to.
        callee: FuncId,
        /// Functions of the module.
        functions: usize,
    },
    /// A program without an entry.
    #[error("there is no function called main, expected the program's entry under this name")]
    NoEntry,
    /// A parameter that is not the value at its position.
    #[error(
        "parameter {index} is {got}, expected {expected}: values stand in the order of their definitions"
    )]
    ParamValue {
        /// Which parameter.
        index: usize,
        /// Its value.
        got: ValueId,
        /// The value at its position.
        expected: ValueId,
    },
    /// A result that is not the value at its position.
    #[error("result {index} is {got}, expected {expected}: values stand in the order of their definitions")]
    ResultValue {
        /// Which of the operation's results.
        index: usize,
        /// Its value.
        got: ValueId,
        /// The next value not yet defined.
        expected: ValueId,
    },
    /// A parameter or result that is not in the arena.
    #[error("{value} is not a value of this function, which has {values}")]
    ValueOutOfRange {
        /// The value.
        value: ValueId,
        /// Number of values.
        values: usize,
    },
    /// A value whose definition names another parameter or operation than the one that has it.
    #[error("{value} says it is {}, but it is {}", Definition(.got), Definition(.expected))]
    Definition {
        /// The value.
        value: ValueId,
        /// Where it says it comes from.
        got: ValueDef,
        /// Where it comes from.
        expected: ValueDef,
    },
    /// A value that is neither a parameter nor a result.
    #[error("{0} belongs to no parameter and no operation")]
    Unowned(ValueId),
    /// An operand that is not in the arena.
    #[error("operand {index} is {value}, expected a value of this function, which has {values}")]
    OperandOutOfRange {
        /// Which operand.
        index: usize,
        /// The value.
        value: ValueId,
        /// Number of values.
        values: usize,
    },
    /// An operand that a later operation (or this one) defines.
    #[error("operand {index} is {value}, which is not defined before this operation")]
    UseBeforeDefinition {
        /// Which operand.
        index: usize,
        /// The value.
        value: ValueId,
    },
    /// An op that does not apply to its operands.
    #[error("does not apply{}: {source}", Operands("to", .operands))]
    Inference {
        /// Types of the operands.
        operands: Vec<TensorType>,
        /// Why.
        source: InferError,
    },
    /// Another number of results than inference gives.
    #[error("has {}, expected {}", Count(*.got, "result", "results"), TypeList(.expected))]
    ResultCount {
        /// Results that the operation has.
        got: usize,
        /// Types that inference gives.
        expected: Vec<TensorType>,
    },
    /// A result of another type than inference gives.
    #[error("result {index} is {got}, expected {expected}")]
    ResultType {
        /// Which result.
        index: usize,
        /// Its type.
        got: TensorType,
        /// The type that inference gives.
        expected: TensorType,
    },
    /// A function returns a value that it does not have.
    #[error("returns {value} as result {index}, expected a value of this function, which has {values}")]
    Return {
        /// Which result of the function.
        index: usize,
        /// The value.
        value: ValueId,
        /// Number of values.
        values: usize,
    },
    /// A parameter is donated to a result that the function does not have.
    #[error(
        "parameter {param} is donated to result {result}, but the function has {}",
        Count(*.results, "result", "results")
    )]
    DonationOutOfRange {
        /// Which parameter.
        param: usize,
        /// The result it names.
        result: usize,
        /// Results of the function.
        results: usize,
    },
    /// A parameter is donated to a result of another type.
    #[error(
        "parameter {param} of type {param_type} is donated to result {result} of type {result_type}, expected equal types"
    )]
    DonationType {
        /// Which parameter.
        param: usize,
        /// Its type.
        param_type: TensorType,
        /// The result it names.
        result: usize,
        /// That result's type.
        result_type: TensorType,
    },
    /// Two parameters are donated to one result.
    #[error("parameters {first} and {again} are both donated to result {result}, expected one at most")]
    DonatedTwice {
        /// The first parameter.
        first: usize,
        /// The other.
        again: usize,
        /// The result.
        result: usize,
    },
    /// A parameter's logical axes do not match its dimensions.
    #[error("parameter {index} of type {ty} has {}, expected {}, one for each dimension", Count(*.axes, "logical axis", "logical axes"), .ty.rank())]
    ParamAxes {
        /// Which parameter.
        index: usize,
        /// Its type.
        ty: TensorType,
        /// Number of axes.
        axes: usize,
    },
    /// A function result's logical axes do not match its dimensions.
    #[error("result {index} of type {ty} has {}, expected {}, one for each dimension", Count(*.axes, "logical axis", "logical axes"), .ty.rank())]
    ResultAxes {
        /// Which result of the function.
        index: usize,
        /// Its type.
        ty: TensorType,
        /// Number of axes.
        axes: usize,
    },
    /// A parameter of a type that no address space holds.
    #[error("parameter {index}: {source}")]
    ParamType {
        /// Which parameter.
        index: usize,
        /// Why the type cannot be.
        source: InferError,
    },
    /// A composite's name is no identifier.
    #[error("composite name {0:?} is not an identifier: expected a letter or _, then letters, digits, _ . $")]
    CompositeName(String),
    /// A custom call without a target.
    #[error("the custom call has no target, expected the name of a registered function")]
    CustomCallTarget,
    /// An attribute without a name.
    #[error("attribute {0} has an empty name")]
    UnnamedAttribute(usize),
    /// Two attributes have one name.
    #[error("attribute {0:?} is there twice")]
    DuplicateAttribute(String),
    /// A scope of another module.
    #[error("its scope is not one of the module's scopes")]
    Scope,
}

impl Problem {
    /// The number of the rule that is broken, in the list of [`crate::verify`].
    pub fn rule(&self) -> u8 {
        match self {
            Problem::ModuleName(_) => 1,
            Problem::FunctionName(_) | Problem::DuplicateFunction { .. } => 2,
            Problem::LaterCallee { .. } | Problem::UnknownCallee { .. } => 3,
            Problem::NoEntry => 4,
            Problem::ParamValue { .. }
            | Problem::ResultValue { .. }
            | Problem::ValueOutOfRange { .. }
            | Problem::Definition { .. }
            | Problem::Unowned(_) => 5,
            Problem::OperandOutOfRange { .. } | Problem::UseBeforeDefinition { .. } => 6,
            Problem::Inference { .. } => 7,
            Problem::ResultCount { .. } | Problem::ResultType { .. } => 8,
            Problem::Return { .. } => 9,
            Problem::DonationOutOfRange { .. }
            | Problem::DonationType { .. }
            | Problem::DonatedTwice { .. } => 10,
            Problem::ParamAxes { .. } | Problem::ResultAxes { .. } => 11,
            Problem::ParamType { .. } => 12,
            Problem::CompositeName(_)
            | Problem::CustomCallTarget
            | Problem::UnnamedAttribute(_)
            | Problem::DuplicateAttribute(_) => 13,
            Problem::Scope => 14,
        }
    }
}

struct Definition<'a>(&'a ValueDef);

impl fmt::Display for Definition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ValueDef::Param(index) => write!(f, "parameter {index}"),
            ValueDef::Result { op, index } => write!(f, "result {index} of {op}"),
        }
    }
}
