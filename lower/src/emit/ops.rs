//! Every op, one arm each.

use lapidary_graph::dtype::DTypeKind;
use lapidary_graph::op::{BinaryKind, Comparison, RngAlgorithm, UnaryKind};
use lapidary_graph::scope::location;
use lapidary_graph::{DType, Literal, LogicalAxes, Op, Operation};

use super::statement::only;
use super::{Emitter, Frame, Signature, Site};
use crate::LowerError;
use crate::mlir::{Dense, List, MAX_CONSTANT_BYTES, Value};

impl Emitter<'_> {
    /// Writes one operation and gives the values that stand for its results.
    pub(super) fn operation(
        &mut self,
        frame: &Frame<'_>,
        operation: &Operation,
    ) -> Result<Vec<Value>, LowerError> {
        let site = &self.site(frame, operation)?;
        match &operation.op {
            Op::Constant { value } => self.constant(site, value),
            Op::Iota { dim, .. } => {
                self.statement(site, "stablehlo.iota", format_args!(" dim = {dim}"), Signature::Results)
            }
            Op::Unary { kind } => self.unary(site, *kind),
            Op::Binary { kind } if self.selects(site, *kind) => self.selected_extremum(site, *kind),
            Op::Binary { kind } => self.binary(site, *kind),
            Op::Compare { direction, total_order } => self.compare(site, *direction, *total_order),
            Op::Select => self.statement(site, "stablehlo.select", "", Signature::Select),
            Op::Clamp => self.statement(site, "stablehlo.clamp", "", Signature::Function),
            Op::Convert { .. } => self.statement(site, "stablehlo.convert", "", Signature::Function),
            Op::BitcastConvert { .. } => {
                self.statement(site, "stablehlo.bitcast_convert", "", Signature::Function)
            }
            Op::BroadcastInDim { broadcast_dims, .. } => {
                self.with_dims(site, "stablehlo.broadcast_in_dim", broadcast_dims)
            }
            Op::Reshape { .. } => self.statement(site, "stablehlo.reshape", "", Signature::Function),
            Op::Transpose { permutation } => self.with_dims(site, "stablehlo.transpose", permutation),
            Op::Concatenate { dim } => {
                let attributes = format_args!(", dim = {dim}");
                self.statement(site, "stablehlo.concatenate", attributes, Signature::Function)
            }
            Op::Slice { start, limit, stride } => self.slice(site, start, limit, stride),
            Op::DynamicSlice { sizes } => {
                let attributes = format_args!(", sizes = {}", List(sizes));
                self.statement(site, "stablehlo.dynamic_slice", attributes, Signature::Function)
            }
            Op::DynamicUpdateSlice => {
                self.statement(site, "stablehlo.dynamic_update_slice", "", Signature::Function)
            }
            Op::Pad { low, high, interior } => self.pad(site, low, high, interior),
            Op::Reverse { dims } => {
                let attributes = format_args!(", dims = {}", List(dims));
                self.statement(site, "stablehlo.reverse", attributes, Signature::Results)
            }
            Op::Gather { dims, slice_sizes, indices_are_sorted } => {
                self.gather(site, dims, slice_sizes, *indices_are_sorted)
            }
            Op::Scatter { dims, indices_are_sorted, unique_indices, body } => {
                self.scatter(site, dims, (*indices_are_sorted, *unique_indices), *body)
            }
            Op::DotGeneral { dims, precision, .. } => self.dot_general(site, dims, *precision),
            Op::Reduce { dims, body } => self.reduce(site, dims, *body),
            Op::Sort { dim, stable, comparator } => self.sort(site, *dim, *stable, *comparator),
            Op::While { cond, body } => self.while_loop(site, *cond, *body),
            Op::If { then_branch, else_branch } => {
                self.branches(site, "stablehlo.if", &[*then_branch, *else_branch])
            }
            Op::Case { branches } => self.branches(site, "stablehlo.case", branches),
            Op::Call { callee } => self.call(site, *callee),
            Op::RngBitGenerator { algorithm, .. } => self.random_bits(site, *algorithm),
            Op::CustomCall { target, attributes, has_side_effect, .. } => {
                self.custom_call(site, target, attributes, *has_side_effect, None)
            }
            Op::OptimizationBarrier => {
                self.statement(site, "stablehlo.optimization_barrier", "", Signature::Results)
            }
            Op::Composite { name, attributes, decomposition } => {
                self.composite(site, name, attributes, *decomposition)
            }
            Op::ShardingConstraint { axes } => self.sharding_constraint(site, axes),
        }
    }

    /// An operation whose custom form ends in `, dims = [...] : (...) -> ...`.
    pub(super) fn with_dims(
        &mut self,
        site: &Site<'_>,
        mnemonic: &str,
        dims: &[usize],
    ) -> Result<Vec<Value>, LowerError> {
        self.statement(site, mnemonic, format_args!(", dims = {}", List(dims)), Signature::Function)
    }

    fn constant(&mut self, site: &Site<'_>, value: &Literal) -> Result<Vec<Value>, LowerError> {
        let bytes = value.bytes().len();
        if bytes > MAX_CONSTANT_BYTES && value.splat().is_none() {
            let location = location(site.function, site.location.path);
            let limit = MAX_CONSTANT_BYTES;
            return Err(LowerError::ConstantTooLarge { ty: value.ty().clone(), bytes, limit, location });
        }
        self.statement(site, "stablehlo.constant", format_args!(" {}", Dense(value)), Signature::Results)
    }

    /// Writes a scalar that an operation's form needs.
    pub(super) fn scalar(&mut self, site: &Site<'_>, value: &Literal) -> Result<Value, LowerError> {
        only(self.constant(&site.beside(Vec::new(), value.ty().clone()), value)?)
    }

    fn unary(&mut self, site: &Site<'_>, kind: UnaryKind) -> Result<Vec<Value>, LowerError> {
        match kind {
            // StableHLO has no error function; its companion dialect does, and every plugin reads that.
            UnaryKind::Erf => self.statement(site, "chlo.erf", "", Signature::Arrow),
            UnaryKind::IsFinite => self.statement(site, "stablehlo.is_finite", "", Signature::Function),
            UnaryKind::Abs
            | UnaryKind::Cbrt
            | UnaryKind::Ceil
            | UnaryKind::CountLeadingZeros
            | UnaryKind::Cosine
            | UnaryKind::Exponential
            | UnaryKind::ExponentialMinusOne
            | UnaryKind::Floor
            | UnaryKind::Log
            | UnaryKind::LogPlusOne
            | UnaryKind::Logistic
            | UnaryKind::Negate
            | UnaryKind::Not
            | UnaryKind::PopulationCount
            | UnaryKind::RoundNearestAfz
            | UnaryKind::RoundNearestEven
            | UnaryKind::Rsqrt
            | UnaryKind::Sign
            | UnaryKind::Sine
            | UnaryKind::Sqrt
            | UnaryKind::Tanh => {
                self.statement(site, format_args!("stablehlo.{}", kind.name()), "", Signature::Results)
            }
        }
    }

    pub(super) fn binary(&mut self, site: &Site<'_>, kind: BinaryKind) -> Result<Vec<Value>, LowerError> {
        self.statement(site, format_args!("stablehlo.{}", kind.name()), "", Signature::Results)
    }

    pub(super) fn compare(
        &mut self,
        site: &Site<'_>,
        direction: Comparison,
        total_order: bool,
    ) -> Result<Vec<Value>, LowerError> {
        let compare_type = match site.operand(0)?.ty.dtype.kind() {
            DTypeKind::Float if total_order => "TOTALORDER",
            DTypeKind::Float => "FLOAT",
            DTypeKind::Signed => "SIGNED",
            DTypeKind::Unsigned | DTypeKind::Boolean => "UNSIGNED",
        };
        // The custom form has the direction before the operands.
        let mnemonic = format_args!("stablehlo.compare {},", direction.name());
        self.statement(site, mnemonic, format_args!(", {compare_type}"), Signature::Function)
    }

    fn random_bits(&mut self, site: &Site<'_>, algorithm: RngAlgorithm) -> Result<Vec<Value>, LowerError> {
        let attributes = format_args!(", algorithm = {}", algorithm.name());
        let [state, bits] = site.results.as_slice() else {
            return Err(LowerError::Unverified(format!(
                "random bits in `{}` have not two results",
                site.function
            )));
        };
        // XLA generates unsigned integers, whatever the program says.
        let generated = bits.with_dtype(unsigned(bits.dtype));
        let generator = Site {
            operands: site.operands.clone(),
            results: vec![state.clone(), generated.clone()],
            ..*site
        };
        let mut results =
            self.statement(&generator, "stablehlo.rng_bit_generator", attributes, Signature::Function)?;
        if generated == *bits {
            return Ok(results);
        }
        let cast = site.beside(results.split_off(1), bits.clone());
        results.extend(self.statement(&cast, "stablehlo.bitcast_convert", "", Signature::Function)?);
        Ok(results)
    }

    fn sharding_constraint(&mut self, site: &Site<'_>, axes: &LogicalAxes) -> Result<Vec<Value>, LowerError> {
        let operand = site.operand(0)?;
        match self.placement {
            // On one device every layout is the same.
            None => Ok(vec![operand.clone()]),
            Some(placement) => {
                let sharding = placement.bind(Some(axes), &operand.ty);
                let attributes = format_args!(" {}", placement.constraint(&sharding));
                self.statement(site, "sdy.sharding_constraint", attributes, Signature::Results)
            }
        }
    }
}

/// The unsigned integer type as wide as a signed one; any other type itself.
fn unsigned(dtype: DType) -> DType {
    match dtype {
        DType::S4 => DType::U4,
        DType::S8 => DType::U8,
        DType::S16 => DType::U16,
        DType::S32 => DType::U32,
        DType::S64 => DType::U64,
        DType::Pred
        | DType::U4
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::F8E4M3FN
        | DType::F8E5M2
        | DType::BF16
        | DType::F16
        | DType::F32
        | DType::F64 => dtype,
    }
}
