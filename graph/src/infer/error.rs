//! Why an op does not apply to its operands.

use std::fmt;

use super::{DTypeClass, Role};
use crate::count::Count;
use crate::{DType, FuncId, FunctionType, TensorType, ValueId};

/// Why an op does not apply to its operands. Operands and attributes go by the specification's names.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InferError {
    /// An operand that is no value of the function being built.
    #[error("{0} is not a value of this function")]
    UnknownValue(ValueId),
    /// The builder method expects another number of results than the op has.
    #[error("expected {}, the op has {got}", Count(*.expected, "result", "results"))]
    ResultCount {
        /// Results the caller expects.
        expected: usize,
        /// Results of the op.
        got: usize,
    },
    /// Too few or too many operands.
    #[error("expected {expected}, got {got}")]
    OperandCount {
        /// What the op takes.
        expected: OperandCount,
        /// What it was given.
        got: usize,
    },
    /// An attribute names a function that the module lacks.
    #[error("`{attribute}` is {function}, which is not a function of this module; add callees first")]
    UnknownFunction {
        /// Attribute that names the function.
        attribute: &'static str,
        /// The id that is not there.
        function: FuncId,
    },
    /// A body, branch or callee of another type than the op calls it with.
    #[error("`{attribute}` @{function} is {}, expected {}", Signature(.got), Signature(.expected))]
    CalleeType {
        /// Attribute that names the function.
        attribute: &'static str,
        /// Name of the function.
        function: Box<str>,
        /// Its type.
        got: Box<FunctionType>,
        /// The type the op needs.
        expected: Box<FunctionType>,
    },
    /// A `case` without branches.
    #[error("`branches` is empty, expected at least one function")]
    NoBranches,
    /// An element type that the op does not work on.
    #[error("{operand} has element type {got}, expected {expected}")]
    DType {
        /// Which operand or result.
        operand: Role,
        /// Its element type.
        got: DType,
        /// What the op works on.
        expected: DTypeClass,
    },
    /// Two operands that must have one element type have two.
    #[error("{operand} has element type {got}, expected {expected} like {like}; convert one of them")]
    DTypeMismatch {
        /// Which operand.
        operand: Role,
        /// Its element type.
        got: DType,
        /// The operand that it must agree with.
        like: Role,
        /// The other's element type.
        expected: DType,
    },
    /// Two operands that must have the same dimensions have not.
    #[error("{operand} is {got}, expected the dimensions of {like}, {expected}: {}", Difference(.got, .expected))]
    ShapeMismatch {
        /// Which operand.
        operand: Role,
        /// Its type.
        got: Box<TensorType>,
        /// The operand that it must agree with.
        like: Role,
        /// The other's type.
        expected: Box<TensorType>,
    },
    /// An operand that must be a scalar or have another operand's dimensions is neither.
    #[error("{operand} is {got}, expected a scalar or the dimensions of {like}, {expected}")]
    NeitherScalarNorShaped {
        /// Which operand.
        operand: Role,
        /// Its type.
        got: Box<TensorType>,
        /// The operand that it may agree with.
        like: Role,
        /// The other's type.
        expected: Box<TensorType>,
    },
    /// An operand of the wrong number of dimensions.
    #[error("{operand} is {got} of rank {}, expected {}", .got.rank(), Rank(*.expected))]
    Rank {
        /// Which operand.
        operand: Role,
        /// Its type.
        got: Box<TensorType>,
        /// Number of dimensions that it must have; 0 is a scalar.
        expected: usize,
    },
    /// Sizes of paired dimensions differ.
    #[error("axis {axis} of {operand} has size {size}, expected {like_size} like axis {like_axis} of {like}")]
    SizeMismatch {
        /// Which operand.
        operand: Role,
        /// Its dimension.
        axis: usize,
        /// The size of that dimension.
        size: usize,
        /// The operand that it must agree with.
        like: Role,
        /// The other's dimension.
        like_axis: usize,
        /// The other's size.
        like_size: usize,
    },
    /// A dimension of an operand that the op fixes has another size.
    #[error("axis {axis} of {operand} has size {size}, expected {expected}")]
    Size {
        /// Which operand.
        operand: Role,
        /// Its dimension.
        axis: usize,
        /// The size of that dimension.
        size: usize,
        /// The size it must have.
        expected: usize,
    },
    /// Types that must hold equally many elements do not.
    #[error(
        "{got} has {}, but {expected} has {}",
        Count(.got.num_elements(), "element", "elements"),
        .expected.num_elements()
    )]
    ElementCount {
        /// Type of the operand.
        got: Box<TensorType>,
        /// Type asked for.
        expected: Box<TensorType>,
    },
    /// A bitcast to a wider type whose parts the operand's minor dimension does not hold.
    #[error(
        "{got} cannot be read as {to}: expected a minor dimension of size {parts}, the number of {} in a {to}",
        .got.dtype
    )]
    BitcastWidth {
        /// Type of the operand.
        got: Box<TensorType>,
        /// Element type asked for.
        to: DType,
        /// Operand elements in a result element.
        parts: usize,
    },
    /// An attribute names a dimension that its tensor lacks.
    #[error("axis {axis} in `{attribute}` is out of range: {of} has rank {rank}")]
    AxisOutOfRange {
        /// Attribute that names the dimension.
        attribute: &'static str,
        /// The dimension.
        axis: usize,
        /// The tensor meant.
        of: Role,
        /// Its number of dimensions.
        rank: usize,
    },
    /// An attribute names a dimension twice.
    #[error("`{attribute}` names axis {axis} twice")]
    DuplicateAxis {
        /// The attribute.
        attribute: &'static str,
        /// The dimension.
        axis: usize,
    },
    /// Two attributes that exclude each other name the same dimension.
    #[error("axis {axis} is in both `{attribute}` and `{other}`")]
    SharedAxis {
        /// The dimension.
        axis: usize,
        /// One attribute.
        attribute: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Dimensions that must be listed in ascending order are not.
    #[error("`{attribute}` lists axis {after} after axis {before}, expected ascending order")]
    UnsortedAxes {
        /// The attribute.
        attribute: &'static str,
        /// The greater dimension, which comes first.
        before: usize,
        /// The lesser, which follows it.
        after: usize,
    },
    /// An attribute with the wrong number of entries.
    #[error("`{attribute}` has length {got}, expected {expected}: {reason}")]
    AttributeLength {
        /// The attribute.
        attribute: &'static str,
        /// Number of entries.
        got: usize,
        /// Number of entries that it must have.
        expected: usize,
        /// What determines the number.
        reason: &'static str,
    },
    /// The dimensions that an attribute accounts for are not all dimensions of the operand.
    #[error(
        "{parts} name {} together, expected {expected}, the rank of {of}",
        Count(*.got, "axis", "axes")
    )]
    AxisCount {
        /// The attributes.
        parts: &'static str,
        /// Number of axes they name.
        got: usize,
        /// The tensor whose axes they must name.
        of: Role,
        /// Its rank.
        expected: usize,
    },
    /// A position of the index vector beyond the indices' dimensions and the implicit one after them.
    #[error("`index_vector_dim` is {axis}, expected {rank}, the rank of {of}, at most")]
    IndexVectorDim {
        /// The position.
        axis: usize,
        /// The indices.
        of: Role,
        /// Their number of dimensions.
        rank: usize,
    },
    /// Bounds of a slice that do not lie in the operand.
    #[error("slice {start}..{limit} does not lie in axis {axis} of size {size}")]
    SliceBounds {
        /// The dimension.
        axis: usize,
        /// First index.
        start: usize,
        /// One past the last.
        limit: usize,
        /// Size of the operand's dimension.
        size: usize,
    },
    /// A slice that does not advance.
    #[error("`stride` is 0 on axis {axis}, expected at least 1")]
    ZeroStride {
        /// The dimension.
        axis: usize,
    },
    /// A window larger than the dimension that it slides over.
    #[error(
        "`{attribute}` takes {} of axis {axis}, {limit} at most",
        Count(*.size, "element", "elements")
    )]
    WindowSize {
        /// Attribute or operand that gives the window.
        attribute: &'static str,
        /// The operand's dimension.
        axis: usize,
        /// Size of the window.
        size: usize,
        /// Largest size it may have.
        limit: usize,
    },
    /// A gather's slices of another size than 1 in a dimension that the result lacks: it would have elements
    /// that no slice has, or lack some.
    #[error(
        "`slice_sizes` takes {} of axis {axis}, expected 1: the axis is in `{removed_by}`",
        Count(*.size, "element", "elements")
    )]
    RemovedAxisSize {
        /// The operand's dimension.
        axis: usize,
        /// Size of the slices.
        size: usize,
        /// Attribute that removes the dimension.
        removed_by: &'static str,
    },
    /// Negative padding that takes more than there is.
    #[error(
        "padding of {low} and {high} with {interior} between elements leaves axis {axis} of size {size} with fewer than 0"
    )]
    NegativePadding {
        /// The dimension.
        axis: usize,
        /// Size of the operand's dimension.
        size: usize,
        /// Elements added before.
        low: i64,
        /// Elements added after.
        high: i64,
        /// Elements added between neighbours.
        interior: usize,
    },
    /// A dimension whose size overflows.
    #[error("the size of axis {axis} of the result overflows 64 bits")]
    SizeOverflow {
        /// The dimension.
        axis: usize,
    },
    /// A tensor that no address space holds.
    #[error("a tensor of type {ty} does not fit in memory: its size in bytes overflows 63 bits")]
    TooLarge {
        /// The type.
        ty: Box<TensorType>,
    },
    /// A random state of a size that the algorithm does not have.
    #[error(
        "`initial_state` has {}, expected {expected} for {algorithm}",
        Count(*.got, "word", "words")
    )]
    RngState {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Words given.
        got: usize,
        /// Words that the algorithm takes.
        expected: &'static str,
    },
}

/// How many operands an op takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperandCount {
    /// Just so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// `n` inputs and `n` others, `n` at least 1.
    Pairs,
    /// `n` inputs, an index tensor and `n` others, `n` at least 1.
    PairsAndOne,
}

impl fmt::Display for OperandCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OperandCount::Exactly(0) => f.write_str("no operands"),
            OperandCount::Exactly(n) => Count(*n, "operand", "operands").fmt(f),
            OperandCount::AtLeast(n) => write!(f, "at least {}", Count(*n, "operand", "operands")),
            OperandCount::Pairs => f.write_str("an even number of operands, at least 2"),
            OperandCount::PairsAndOne => f.write_str("an odd number of operands, at least 3"),
        }
    }
}

/// The operands of an op after a preposition, as ` on (f32[], f32[2])`; nothing if there are none.
pub(crate) struct Operands<'a>(pub(crate) &'static str, pub(crate) &'a [TensorType]);

impl fmt::Display for Operands<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operands(preposition, types) = self;
        if types.is_empty() { Ok(()) } else { write!(f, " {preposition} {}", TypeList(types)) }
    }
}

/// Types as `(f32[], f32[2])`.
pub(crate) struct TypeList<'a>(pub(crate) &'a [TensorType]);

impl fmt::Display for TypeList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, ty) in self.0.iter().enumerate() {
            write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

/// A function type as `(f32[], f32[]) -> (f32[])`.
struct Signature<'a>(&'a FunctionType);

impl fmt::Display for Signature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", TypeList(&self.0.params), TypeList(&self.0.results))
    }
}

/// Where two shapes first differ.
struct Difference<'a>(&'a TensorType, &'a TensorType);

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (got, expected) = (&self.0.dims, &self.1.dims);
        if got.len() != expected.len() {
            return write!(f, "rank {} against {}", got.len(), expected.len());
        }
        match got.iter().zip(expected).enumerate().find(|(_, (a, b))| a != b) {
            Some((axis, (a, b))) => write!(f, "size {a} against {b} on axis {axis}"),
            None => f.write_str("no difference"),
        }
    }
}

struct Rank(usize);

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("a scalar"),
            rank => write!(f, "rank {rank}"),
        }
    }
}
