//! One builder method an op, for the ops as the specification has them.
//!
//! Every method fails with a [`BuildError`] where inference does; see [`Op`] for operands and attributes.

use crate::op::{
    BinaryKind, Comparison, DotDims, GatherDims, Precision, RngAlgorithm, ScatterDims, UnaryKind,
};
use crate::{
    Attributes, BuildError, DType, FuncId, FunctionBuilder, Literal, LogicalAxes, Op, TensorType, ValueId,
};

type Built = Result<ValueId, BuildError>;

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $method:ident = $kind:ident;)*) => {
        impl FunctionBuilder<'_> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// See [`FunctionBuilder::push`].
                pub fn $method(&mut self, operand: ValueId) -> Built {
                    self.one(Op::Unary { kind: UnaryKind::$kind }, &[operand])
                }
            )*
        }
    };
}

unary_methods! {
    /// Natural logarithm.
    log = Log;
    /// e^x.
    exp = Exponential;
    /// -x.
    neg = Negate;
    /// 1 / sqrt(x).
    rsqrt = Rsqrt;
    /// Hyperbolic tangent.
    tanh = Tanh;
    /// Sine, radians.
    sine = Sine;
    /// Cosine, radians.
    cosine = Cosine;
    /// Not.
    not = Not;
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $method:ident = $kind:ident;)*) => {
        impl FunctionBuilder<'_> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// See [`FunctionBuilder::push`].
                pub fn $method(&mut self, lhs: ValueId, rhs: ValueId) -> Built {
                    self.one(Op::Binary { kind: BinaryKind::$kind }, &[lhs, rhs])
                }
            )*
        }
    };
}

binary_methods! {
    /// lhs + rhs.
    add = Add;
    /// lhs - rhs.
    sub = Subtract;
    /// lhs * rhs.
    mul = Multiply;
    /// lhs / rhs.
    div = Divide;
    /// Remainder with the dividend's sign.
    rem = Remainder;
    /// Greater of the two.
    max = Maximum;
    /// Lesser of the two.
    min = Minimum;
    /// lhs to the power rhs.
    pow = Power;
    /// Logical or bitwise and.
    and = And;
    /// Logical or bitwise or.
    or = Or;
}

/// Ops with attributes of their own. Errors are those of [`FunctionBuilder::push`].
#[allow(clippy::missing_errors_doc)]
impl FunctionBuilder<'_> {
    /// A literal.
    pub fn constant(&mut self, value: Literal) -> Built {
        self.one(Op::Constant { value }, &[])
    }

    /// A tensor of type `ty` with `value`, rounded to its element type, everywhere.
    pub fn splat(&mut self, value: f64, ty: &TensorType) -> Built {
        let scalar = self.constant(Literal::float(ty.dtype, value))?;
        self.broadcast(scalar, &ty.dims, &[])
    }

    /// Indices along `dim`.
    pub fn iota(&mut self, result: TensorType, dim: usize) -> Built {
        self.one(Op::Iota { result, dim }, &[])
    }

    /// An elementwise function of one operand.
    pub fn unary(&mut self, kind: UnaryKind, operand: ValueId) -> Built {
        self.one(Op::Unary { kind }, &[operand])
    }

    /// An elementwise function of two operands.
    pub fn binary(&mut self, kind: BinaryKind, lhs: ValueId, rhs: ValueId) -> Built {
        self.one(Op::Binary { kind }, &[lhs, rhs])
    }

    /// An elementwise comparison.
    pub fn compare(&mut self, direction: Comparison, lhs: ValueId, rhs: ValueId) -> Built {
        self.one(Op::Compare { direction, total_order: false }, &[lhs, rhs])
    }

    /// `pred ? on_true : on_false`.
    pub fn select(&mut self, pred: ValueId, on_true: ValueId, on_false: ValueId) -> Built {
        self.one(Op::Select, &[pred, on_true, on_false])
    }

    /// `min(max(operand, min), max)`.
    pub fn clamp(&mut self, min: ValueId, operand: ValueId, max: ValueId) -> Built {
        self.one(Op::Clamp, &[min, operand, max])
    }

    /// The operand in another element type; the operand itself if it has that type.
    pub fn convert(&mut self, operand: ValueId, to: DType) -> Built {
        if self.ty(operand)?.dtype == to {
            return Ok(operand);
        }
        self.one(Op::Convert { to }, &[operand])
    }

    /// Reinterpretation of bits.
    pub fn bitcast_convert(&mut self, operand: ValueId, to: DType) -> Built {
        self.one(Op::BitcastConvert { to }, &[operand])
    }

    /// Operand dimension `i` becomes result dimension `broadcast_dims[i]`.
    pub fn broadcast(&mut self, operand: ValueId, dims: &[usize], broadcast_dims: &[usize]) -> Built {
        let (dims, broadcast_dims) = (dims.to_vec(), broadcast_dims.to_vec());
        self.one(Op::BroadcastInDim { dims, broadcast_dims }, &[operand])
    }

    /// The same elements under other dimensions; the operand itself if it has them.
    pub fn reshape(&mut self, operand: ValueId, dims: &[usize]) -> Built {
        if self.ty(operand)?.dims == dims {
            return Ok(operand);
        }
        self.one(Op::Reshape { dims: dims.to_vec() }, &[operand])
    }

    /// Permuted dimensions.
    pub fn transpose(&mut self, operand: ValueId, permutation: &[usize]) -> Built {
        self.one(Op::Transpose { permutation: permutation.to_vec() }, &[operand])
    }

    /// Operands joined along `dim`.
    pub fn concatenate(&mut self, operands: &[ValueId], dim: usize) -> Built {
        self.one(Op::Concatenate { dim }, operands)
    }

    /// A strided box.
    pub fn slice(&mut self, operand: ValueId, start: &[usize], limit: &[usize], stride: &[usize]) -> Built {
        let (start, limit, stride) = (start.to_vec(), limit.to_vec(), stride.to_vec());
        self.one(Op::Slice { start, limit, stride }, &[operand])
    }

    /// The range `start..limit` of one dimension.
    pub fn slice_dim(&mut self, operand: ValueId, dim: usize, start: usize, limit: usize) -> Built {
        let dims = self.ty(operand)?.dims;
        let pick = |at: usize, here: usize, other: usize| if at == dim { here } else { other };
        let starts = (0..dims.len()).map(|d| pick(d, start, 0)).collect();
        let limits = dims.iter().enumerate().map(|(d, &size)| pick(d, limit, size)).collect();
        self.one(Op::Slice { start: starts, limit: limits, stride: vec![1; dims.len()] }, &[operand])
    }

    /// A box at a run-time offset.
    pub fn dynamic_slice(&mut self, operand: ValueId, starts: &[ValueId], sizes: &[usize]) -> Built {
        let operands: Vec<ValueId> = std::iter::once(operand).chain(starts.iter().copied()).collect();
        self.one(Op::DynamicSlice { sizes: sizes.to_vec() }, &operands)
    }

    /// The operand with a box overwritten at a run-time offset.
    pub fn dynamic_update_slice(&mut self, operand: ValueId, update: ValueId, starts: &[ValueId]) -> Built {
        let operands: Vec<ValueId> = [operand, update].into_iter().chain(starts.iter().copied()).collect();
        self.one(Op::DynamicUpdateSlice, &operands)
    }

    /// Padding with a scalar.
    pub fn pad(
        &mut self,
        operand: ValueId,
        value: ValueId,
        low: &[i64],
        high: &[i64],
        interior: &[usize],
    ) -> Built {
        let (low, high, interior) = (low.to_vec(), high.to_vec(), interior.to_vec());
        self.one(Op::Pad { low, high, interior }, &[operand, value])
    }

    /// Reversed dimensions.
    pub fn reverse(&mut self, operand: ValueId, dims: &[usize]) -> Built {
        self.one(Op::Reverse { dims: dims.to_vec() }, &[operand])
    }

    /// Slices of the operand at indices.
    pub fn gather(
        &mut self,
        operand: ValueId,
        indices: ValueId,
        dims: GatherDims,
        slice_sizes: &[usize],
    ) -> Built {
        let op = Op::Gather { dims, slice_sizes: slice_sizes.to_vec(), indices_are_sorted: false };
        self.one(op, &[operand, indices])
    }

    /// Updates combined into one operand at indices.
    pub fn scatter(
        &mut self,
        operand: ValueId,
        indices: ValueId,
        updates: ValueId,
        dims: ScatterDims,
        unique_indices: bool,
        body: FuncId,
    ) -> Built {
        let op = Op::Scatter { dims, indices_are_sorted: false, unique_indices, body };
        self.one(op, &[operand, indices, updates])
    }

    /// A generalised matrix product.
    pub fn dot_general(
        &mut self,
        lhs: ValueId,
        rhs: ValueId,
        dims: DotDims,
        precision: Precision,
        result: DType,
    ) -> Built {
        self.one(Op::DotGeneral { dims, precision, result }, &[lhs, rhs])
    }

    /// Reduction of one operand with a body of its own.
    pub fn reduce(&mut self, operand: ValueId, init: ValueId, dims: &[usize], body: FuncId) -> Built {
        self.one(Op::Reduce { dims: dims.to_vec(), body }, &[operand, init])
    }

    /// Operands sorted together along `dim`.
    pub fn sort(
        &mut self,
        operands: &[ValueId],
        dim: usize,
        stable: bool,
        comparator: FuncId,
    ) -> Result<Vec<ValueId>, BuildError> {
        self.push(Op::Sort { dim, stable, comparator }, operands)
    }

    /// Iteration while `cond` holds.
    pub fn while_loop(
        &mut self,
        carried: &[ValueId],
        cond: FuncId,
        body: FuncId,
    ) -> Result<Vec<ValueId>, BuildError> {
        self.push(Op::While { cond, body }, carried)
    }

    /// Choice by a boolean.
    pub fn if_else(
        &mut self,
        pred: ValueId,
        args: &[ValueId],
        then_branch: FuncId,
        else_branch: FuncId,
    ) -> Result<Vec<ValueId>, BuildError> {
        let operands: Vec<ValueId> = std::iter::once(pred).chain(args.iter().copied()).collect();
        self.push(Op::If { then_branch, else_branch }, &operands)
    }

    /// Choice by an index.
    pub fn case(
        &mut self,
        index: ValueId,
        args: &[ValueId],
        branches: &[FuncId],
    ) -> Result<Vec<ValueId>, BuildError> {
        let operands: Vec<ValueId> = std::iter::once(index).chain(args.iter().copied()).collect();
        self.push(Op::Case { branches: branches.to_vec() }, &operands)
    }

    /// Application of a function.
    pub fn call(&mut self, callee: FuncId, args: &[ValueId]) -> Result<Vec<ValueId>, BuildError> {
        self.push(Op::Call { callee }, args)
    }

    /// Random bits: the new state and the bits.
    pub fn rng_bit_generator(
        &mut self,
        algorithm: RngAlgorithm,
        state: ValueId,
        result: TensorType,
    ) -> Result<Vec<ValueId>, BuildError> {
        self.push(Op::RngBitGenerator { algorithm, result }, &[state])
    }

    /// Identity on all operands that no motion crosses.
    pub fn optimization_barrier(&mut self, operands: &[ValueId]) -> Result<Vec<ValueId>, BuildError> {
        self.push(Op::OptimizationBarrier, operands)
    }

    /// A named composition of `operands` with one result, whose meaning `decompose` builds as a function
    /// of its own.
    pub fn composite<const N: usize>(
        &mut self,
        name: &str,
        attributes: Attributes,
        operands: [ValueId; N],
        decompose: impl FnOnce(&mut FunctionBuilder<'_>, [ValueId; N]) -> Built,
    ) -> Built {
        let types = operands.iter().map(|&v| self.ty(v)).collect::<Result<Vec<_>, _>>()?;
        let decomposition = self.nested(name, |b| {
            for ty in types {
                b.param("", ty);
            }
            // A function's first values are its parameters.
            let params = std::array::from_fn(ValueId::new);
            Ok(vec![decompose(b, params)?])
        })?;
        self.one(Op::Composite { name: name.to_string(), attributes, decomposition }, &operands)
    }

    /// Identity that says how the value is to be laid out over a mesh.
    pub fn sharding_constraint(&mut self, operand: ValueId, axes: LogicalAxes) -> Built {
        self.one(Op::ShardingConstraint { axes }, &[operand])
    }

    /// The function `(a, b) -> a kind b` on scalars of `dtype`, made once a module.
    pub fn combiner(&mut self, kind: BinaryKind, dtype: DType) -> Result<FuncId, BuildError> {
        let name = format!("{}.{dtype}", kind.name());
        self.shared(&name, |b| {
            let lhs = b.param("", TensorType::scalar(dtype));
            let rhs = b.param("", TensorType::scalar(dtype));
            Ok(vec![b.binary(kind, lhs, rhs)?])
        })
    }
}
