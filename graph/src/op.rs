//! The closed set of operations.
//!
//! Names, attributes and their order follow the StableHLO specification. Operands are kept beside the op,
//! in [`crate::Operation`]; each variant's documentation lists them in order.

use crate::{Attributes, DType, FuncId, Literal, LogicalAxes, TensorType};

/// What an operation computes.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// A literal tensor. No operands.
    Constant {
        /// The value.
        value: Literal,
    },
    /// Indices along one dimension: `result[..., i, ...] = i`. No operands.
    Iota {
        /// Result type.
        result: TensorType,
        /// The dimension that counts.
        dim: usize,
    },
    /// Elementwise function of one operand.
    Unary {
        /// Which function.
        kind: UnaryKind,
    },
    /// Elementwise function of two operands of one type: `lhs, rhs`.
    Binary {
        /// Which function.
        kind: BinaryKind,
    },
    /// Elementwise comparison: `lhs, rhs` of one type; the result is `pred`.
    Compare {
        /// Which comparison.
        direction: Comparison,
        /// Compare floats in IEEE total order, so that NaN sorts after everything.
        total_order: bool,
    },
    /// `pred ? on_true : on_false`: `pred, on_true, on_false`; `pred` is a scalar or has the others' dimensions.
    Select,
    /// `min(max(operand, min), max)`: `min, operand, max`; the bounds are scalars or have the operand's dimensions.
    Clamp,
    /// Elementwise conversion of value.
    Convert {
        /// Result element type.
        to: DType,
    },
    /// Reinterpretation of bits. Equal widths keep the dimensions; a narrower result gains a minor
    /// dimension, a wider one loses it.
    BitcastConvert {
        /// Result element type.
        to: DType,
    },
    /// Operand dimension `i` becomes result dimension `broadcast_dims[i]`.
    BroadcastInDim {
        /// Result dimensions.
        dims: Vec<usize>,
        /// Where each operand dimension goes; a size-1 dimension may expand.
        broadcast_dims: Vec<usize>,
    },
    /// The same elements in row-major order under other dimensions.
    Reshape {
        /// Result dimensions.
        dims: Vec<usize>,
    },
    /// `result.dims[i] = operand.dims[permutation[i]]`.
    Transpose {
        /// Operand dimension of each result dimension.
        permutation: Vec<usize>,
    },
    /// Operands (one or more) laid one after another along a dimension.
    Concatenate {
        /// The dimension along which to join.
        dim: usize,
    },
    /// A strided box with static bounds.
    Slice {
        /// First index in each dimension.
        start: Vec<usize>,
        /// One past the last index in each dimension.
        limit: Vec<usize>,
        /// Step in each dimension, at least 1.
        stride: Vec<usize>,
    },
    /// A box at a run-time offset, clamped into the operand: `operand, start_0, ..., start_{rank-1}`
    /// (scalar integers).
    DynamicSlice {
        /// Result dimensions.
        sizes: Vec<usize>,
    },
    /// The operand with a box overwritten at a run-time offset, clamped into it:
    /// `operand, update, start_0, ..., start_{rank-1}`.
    DynamicUpdateSlice,
    /// Padding with a scalar: `operand, padding_value`. Negative low and high padding crops.
    Pad {
        /// Elements added before each dimension.
        low: Vec<i64>,
        /// Elements added after each dimension.
        high: Vec<i64>,
        /// Elements added between neighbours of each dimension.
        interior: Vec<usize>,
    },
    /// The operand with some dimensions reversed.
    Reverse {
        /// Dimensions to reverse.
        dims: Vec<usize>,
    },
    /// Slices of `operand` at `start_indices`: `operand, start_indices`. Starts are clamped.
    Gather {
        /// Dimension numbers.
        dims: GatherDims,
        /// Size of a slice in each operand dimension.
        slice_sizes: Vec<usize>,
        /// Whether the caller promises sorted indices.
        indices_are_sorted: bool,
    },
    /// Updates combined into operands at indices: `inputs..., scatter_indices, updates...` (as many
    /// updates as inputs). Updates out of bounds are dropped.
    Scatter {
        /// Dimension numbers.
        dims: ScatterDims,
        /// Whether the caller promises sorted indices.
        indices_are_sorted: bool,
        /// Whether the caller promises that no element is updated twice.
        unique_indices: bool,
        /// `(current..., update...) -> new...` on scalars.
        body: FuncId,
    },
    /// Generalised matrix product: `lhs, rhs`. Result dimensions: batch, lhs free, rhs free.
    DotGeneral {
        /// Dimension numbers.
        dims: DotDims,
        /// How exactly the product is computed.
        precision: Precision,
        /// Result element type; accumulation is at least f32 for narrower floats.
        result: DType,
    },
    /// Reduction over dimensions: `inputs..., init_values...` (as many scalars as inputs).
    Reduce {
        /// Dimensions that vanish.
        dims: Vec<usize>,
        /// `(accumulator..., element...) -> accumulator...` on scalars; associative.
        body: FuncId,
    },
    /// Operands sorted together along one dimension.
    Sort {
        /// The dimension along which to sort.
        dim: usize,
        /// Whether equal keys keep their order.
        stable: bool,
        /// `(a_0, b_0, a_1, b_1, ...) -> pred`: whether a comes before b.
        comparator: FuncId,
    },
    /// Iteration: operands are the carried values, results their last state.
    While {
        /// `(carried...) -> pred` scalar: whether to go on.
        cond: FuncId,
        /// `(carried...) -> carried...`.
        body: FuncId,
    },
    /// Choice by a boolean: `pred, args...`; both functions take the args.
    If {
        /// Taken when `pred` holds.
        then_branch: FuncId,
        /// Taken otherwise.
        else_branch: FuncId,
    },
    /// Choice by an index: `index (s32), args...`. An index out of range takes the last branch.
    Case {
        /// One function a case, all of one type.
        branches: Vec<FuncId>,
    },
    /// Application of a function of the module to the operands.
    Call {
        /// The function.
        callee: FuncId,
    },
    /// Counter-based random bits: `state (u64 vector)`; results `new_state, bits`.
    RngBitGenerator {
        /// Generator.
        algorithm: RngAlgorithm,
        /// Type of the bits, an unsigned or signed integer tensor.
        result: TensorType,
    },
    /// A call of a function that the runtime knows by name.
    CustomCall {
        /// Registered name.
        target: String,
        /// Result types.
        results: Vec<TensorType>,
        /// Attributes, passed as a dictionary (typed FFI).
        attributes: Attributes,
        /// Whether the call must be kept although its results are unused.
        has_side_effect: bool,
    },
    /// Identity on all operands that no motion crosses.
    OptimizationBarrier,
    /// A named composition: a target may have a kernel of this name; otherwise the decomposition is inlined.
    Composite {
        /// Name in a target's kernel table, such as `lapidary.linear`.
        name: String,
        /// What the kernel needs to know beyond the operands' types.
        attributes: Attributes,
        /// The meaning: a function from the operands to the results.
        decomposition: FuncId,
    },
    /// Identity that says how the value is to be laid out over a mesh.
    ShardingConstraint {
        /// Logical axis of each dimension.
        axes: LogicalAxes,
    },
}

macro_rules! named_kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name in the text form, which is also StableHLO's.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

named_kinds! {
    /// Elementwise functions of one operand.
    UnaryKind {
        /// Absolute value.
        Abs = "abs",
        /// Cube root.
        Cbrt = "cbrt",
        /// Rounding towards positive infinity.
        Ceil = "ceil",
        /// Number of leading zero bits.
        CountLeadingZeros = "count_leading_zeros",
        /// Cosine, radians.
        Cosine = "cosine",
        /// Gauss error function.
        Erf = "erf",
        /// e^x.
        Exponential = "exponential",
        /// e^x - 1.
        ExponentialMinusOne = "exponential_minus_one",
        /// Rounding towards negative infinity.
        Floor = "floor",
        /// Whether the value is neither infinite nor NaN; the result is `pred`.
        IsFinite = "is_finite",
        /// Natural logarithm.
        Log = "log",
        /// log(1 + x).
        LogPlusOne = "log_plus_one",
        /// 1 / (1 + e^-x).
        Logistic = "logistic",
        /// -x.
        Negate = "negate",
        /// Logical not of booleans, bitwise not of integers.
        Not = "not",
        /// Number of one bits.
        PopulationCount = "popcnt",
        /// Rounding to nearest, ties away from zero.
        RoundNearestAfz = "round_nearest_afz",
        /// Rounding to nearest, ties to even.
        RoundNearestEven = "round_nearest_even",
        /// 1 / sqrt(x).
        Rsqrt = "rsqrt",
        /// Sign: -1, 0 or 1 (floats keep -0 and NaN).
        Sign = "sign",
        /// Sine, radians.
        Sine = "sine",
        /// Square root.
        Sqrt = "sqrt",
        /// Hyperbolic tangent.
        Tanh = "tanh",
    }
}

named_kinds! {
    /// Elementwise functions of two operands of one type.
    BinaryKind {
        /// Sum (logical or of booleans); integers wrap.
        Add = "add",
        /// Logical or bitwise and.
        And = "and",
        /// atan2(lhs, rhs).
        Atan2 = "atan2",
        /// Quotient; integers truncate towards zero.
        Divide = "divide",
        /// Greater of the two; NaN wins.
        Maximum = "maximum",
        /// Lesser of the two; NaN wins.
        Minimum = "minimum",
        /// Product (logical and of booleans); integers wrap.
        Multiply = "multiply",
        /// Logical or bitwise or.
        Or = "or",
        /// lhs to the power rhs.
        Power = "power",
        /// Remainder with the dividend's sign.
        Remainder = "remainder",
        /// lhs shifted left by rhs bits.
        ShiftLeft = "shift_left",
        /// lhs shifted right, copies of the sign bit coming in.
        ShiftRightArithmetic = "shift_right_arithmetic",
        /// lhs shifted right, zeros coming in.
        ShiftRightLogical = "shift_right_logical",
        /// Difference; integers wrap.
        Subtract = "subtract",
        /// Logical or bitwise exclusive or.
        Xor = "xor",
    }
}

named_kinds! {
    /// Comparisons.
    Comparison {
        /// Equal.
        Eq = "EQ",
        /// Not equal.
        Ne = "NE",
        /// Greater or equal.
        Ge = "GE",
        /// Greater.
        Gt = "GT",
        /// Less or equal.
        Le = "LE",
        /// Less.
        Lt = "LT",
    }
}

named_kinds! {
    /// How exactly a dot computes its products; what it means is the target's.
    Precision {
        /// Fastest; on TPU one bf16 pass.
        Default = "DEFAULT",
        /// Slower and more accurate.
        High = "HIGH",
        /// The element type's own accuracy.
        Highest = "HIGHEST",
    }
}

named_kinds! {
    /// Generators of random bits.
    RngAlgorithm {
        /// The target's choice.
        Default = "DEFAULT",
        /// ThreeFry 2x32.
        ThreeFry = "THREE_FRY",
        /// Philox 4x32.
        Philox = "PHILOX",
    }
}

/// Dimension numbers of a dot product.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DotDims {
    /// Batch dimensions of the left operand.
    pub lhs_batch: Vec<usize>,
    /// Batch dimensions of the right operand, paired with `lhs_batch`.
    pub rhs_batch: Vec<usize>,
    /// Contracted dimensions of the left operand.
    pub lhs_contract: Vec<usize>,
    /// Contracted dimensions of the right operand, paired with `lhs_contract`.
    pub rhs_contract: Vec<usize>,
}

/// Dimension numbers of a gather, as the StableHLO specification defines them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct GatherDims {
    /// Result dimensions that run over a slice.
    pub offset_dims: Vec<usize>,
    /// Operand dimensions of slice size 1 that the result lacks.
    pub collapsed_slice_dims: Vec<usize>,
    /// Operand dimensions that are paired with `start_indices_batching_dims`.
    pub operand_batching_dims: Vec<usize>,
    /// Batch dimensions of the indices paired with `operand_batching_dims`.
    pub start_indices_batching_dims: Vec<usize>,
    /// Operand dimension that each component of an index vector addresses.
    pub start_index_map: Vec<usize>,
    /// Dimension of the indices that holds the index vector (their rank if implicit).
    pub index_vector_dim: usize,
}

/// Dimension numbers of a scatter, as the StableHLO specification defines them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScatterDims {
    /// Update dimensions that run over a window.
    pub update_window_dims: Vec<usize>,
    /// Input dimensions of window size 1 that the updates lack.
    pub inserted_window_dims: Vec<usize>,
    /// Input dimensions that are paired with `scatter_indices_batching_dims`.
    pub input_batching_dims: Vec<usize>,
    /// Batch dimensions of the indices paired with `input_batching_dims`.
    pub scatter_indices_batching_dims: Vec<usize>,
    /// Input dimension that each component of an index vector addresses.
    pub scatter_dims_to_operand_dims: Vec<usize>,
    /// Dimension of the indices that holds the index vector (their rank if implicit).
    pub index_vector_dim: usize,
}

impl Op {
    /// The name in the text form, which is StableHLO's where StableHLO has the op.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Constant { .. } => "constant",
            Op::Iota { .. } => "iota",
            Op::Unary { kind } => kind.name(),
            Op::Binary { kind } => kind.name(),
            Op::Compare { .. } => "compare",
            Op::Select => "select",
            Op::Clamp => "clamp",
            Op::Convert { .. } => "convert",
            Op::BitcastConvert { .. } => "bitcast_convert",
            Op::BroadcastInDim { .. } => "broadcast_in_dim",
            Op::Reshape { .. } => "reshape",
            Op::Transpose { .. } => "transpose",
            Op::Concatenate { .. } => "concatenate",
            Op::Slice { .. } => "slice",
            Op::DynamicSlice { .. } => "dynamic_slice",
            Op::DynamicUpdateSlice => "dynamic_update_slice",
            Op::Pad { .. } => "pad",
            Op::Reverse { .. } => "reverse",
            Op::Gather { .. } => "gather",
            Op::Scatter { .. } => "scatter",
            Op::DotGeneral { .. } => "dot_general",
            Op::Reduce { .. } => "reduce",
            Op::Sort { .. } => "sort",
            Op::While { .. } => "while",
            Op::If { .. } => "if",
            Op::Case { .. } => "case",
            Op::Call { .. } => "call",
            Op::RngBitGenerator { .. } => "rng_bit_generator",
            Op::CustomCall { .. } => "custom_call",
            Op::OptimizationBarrier => "optimization_barrier",
            Op::Composite { .. } => "composite",
            Op::ShardingConstraint { .. } => "sharding_constraint",
        }
    }

    /// The functions that this op refers to, in attribute order.
    pub fn callees(&self) -> Vec<FuncId> {
        match self {
            Op::Scatter { body, .. } | Op::Reduce { body, .. } => vec![*body],
            Op::Sort { comparator, .. } => vec![*comparator],
            Op::While { cond, body } => vec![*cond, *body],
            Op::If { then_branch, else_branch } => vec![*then_branch, *else_branch],
            Op::Case { branches } => branches.clone(),
            Op::Call { callee } => vec![*callee],
            Op::Composite { decomposition, .. } => vec![*decomposition],
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
            | Op::DotGeneral { .. }
            | Op::RngBitGenerator { .. }
            | Op::CustomCall { .. }
            | Op::OptimizationBarrier
            | Op::ShardingConstraint { .. } => Vec::new(),
        }
    }
}
