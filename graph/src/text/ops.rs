//! The one table of ops and attributes that both printing and parsing are made from.
//!
//! The compiler checks it: an op or a field that the table lacks does not compile.

use std::fmt;

use super::ParseError;
use super::field::{Entries, Field, read_once};
use super::lexer::Token;
use super::parser::Parser;
use super::printer::Printer;
use crate::Op;
use crate::op::{BinaryKind, DotDims, GatherDims, Precision, ScatterDims, UnaryKind};

/// Reads a dictionary with the listed fields in any order; a field without default must be there.
macro_rules! parse_fields {
    ($p:ident, $owner:expr, $token:expr, $make:path { $($field:ident $(= $default:expr)?),* }) => {{
        let owner: &str = $owner;
        $(let mut $field = None;)*
        $p.dictionary(|p, key| {
            $(if key == stringify!($field) { return read_once(p, key, &mut $field); })*
            Err(unknown_attribute(p, owner, key, &[$(stringify!($field)),*]))
        })?;
        $(
            let $field = $field$(.or(Some($default)))?.ok_or_else(|| {
                $p.error($token, concat!("the attribute `", stringify!($field), "` is missing"))
            })?;
        )*
        $make { $($field),* }
    }};
}

macro_rules! print_fields {
    ($entries:ident, $out:ident, $($field:ident $(= $default:expr)?),*) => {
        $($entries.field($out, stringify!($field), $field, None$(.or(Some($default)))?)?;)*
    };
}

fn unknown_attribute(p: &Parser<'_>, owner: &str, key: &str, known: &[&str]) -> ParseError {
    let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
    p.error_before(format!("{owner} has no attribute `{key}` (it has: {known})"))
}

/// Attributes that are dictionaries themselves: `name { field, field = default, ... }`.
macro_rules! records {
    ($($record:ident { $($field:ident $(= $default:expr)?),* $(,)? })*) => {$(
        impl Field for $record {
            fn print(&self, out: &mut Printer<'_>) -> fmt::Result {
                let $record { $($field),* } = self;
                let mut entries = Entries::new("{");
                print_fields!(entries, out, $($field $(= $default)?),*);
                entries.end(out, "{}")
            }

            fn parse(p: &mut Parser<'_>) -> Result<Self, ParseError> {
                let start = p.peek();
                if !p.is('{') {
                    return Err(p.expected("`{`"));
                }
                Ok(parse_fields!(p, "this record", start, $record { $($field $(= $default)?),* }))
            }
        }
    )*};
}

/// Ops: `"name" => Variant { field, field = default, ... }`, fields in the order in which they print.
macro_rules! ops {
    ($($name:literal => $variant:ident { $($field:ident $(= $default:expr)?),* $(,)? },)*) => {
        /// The name of every op in the text form.
        pub fn op_names() -> impl Iterator<Item = &'static str> {
            let unary = UnaryKind::ALL.iter().map(|kind| kind.name());
            let binary = BinaryKind::ALL.iter().map(|kind| kind.name());
            unary.chain(binary).chain([$($name),*])
        }

        /// Prints the attributes of `op` that differ from their defaults, after a space if there are any.
        pub(super) fn print_attributes(op: &Op, out: &mut Printer<'_>) -> fmt::Result {
            let mut entries = Entries::new(" {");
            match op {
                // Their names say it all.
                Op::Unary { kind: _ } | Op::Binary { kind: _ } => {}
                $(Op::$variant { $($field),* } => {
                    print_fields!(entries, out, $($field $(= $default)?),*);
                })*
            }
            entries.end(out, "")
        }

        /// Parses the attributes of the op that `token` names.
        pub(super) fn parse_attributes(p: &mut Parser<'_>, token: Token) -> Result<Op, ParseError> {
            let name = p.text(token);
            let owner = &format!("`{name}`");
            if let Some(&kind) = UnaryKind::ALL.iter().find(|kind| kind.name() == name) {
                p.dictionary(|p, key| Err(unknown_attribute(p, owner, key, &[])))?;
                return Ok(Op::Unary { kind });
            }
            if let Some(&kind) = BinaryKind::ALL.iter().find(|kind| kind.name() == name) {
                p.dictionary(|p, key| Err(unknown_attribute(p, owner, key, &[])))?;
                return Ok(Op::Binary { kind });
            }
            match name {
                $($name => Ok(parse_fields!(p, owner, token, Op::$variant { $($field $(= $default)?),* })),)*
                _ => Err(p.error(token, format!("there is no op called `{name}`"))),
            }
        }
    };
}

ops! {
    "constant" => Constant { value },
    "iota" => Iota { result, dim },
    "compare" => Compare { direction, total_order = false },
    "select" => Select {},
    "clamp" => Clamp {},
    "convert" => Convert { to },
    "bitcast_convert" => BitcastConvert { to },
    "broadcast_in_dim" => BroadcastInDim { dims, broadcast_dims },
    "reshape" => Reshape { dims },
    "transpose" => Transpose { permutation },
    "concatenate" => Concatenate { dim },
    "slice" => Slice { start, limit, stride },
    "dynamic_slice" => DynamicSlice { sizes },
    "dynamic_update_slice" => DynamicUpdateSlice {},
    "pad" => Pad { low, high, interior },
    "reverse" => Reverse { dims },
    "gather" => Gather { dims, slice_sizes, indices_are_sorted = false },
    "scatter" => Scatter { dims, indices_are_sorted = false, unique_indices = false, body },
    "dot_general" => DotGeneral { dims, precision = Precision::Default, result },
    "reduce" => Reduce { dims, body },
    "sort" => Sort { dim, stable = false, comparator },
    "while" => While { cond, body },
    "if" => If { then_branch, else_branch },
    "case" => Case { branches },
    "call" => Call { callee },
    "rng_bit_generator" => RngBitGenerator { algorithm, result },
    "custom_call" => CustomCall { target, results, attributes = Vec::new(), has_side_effect = false },
    "optimization_barrier" => OptimizationBarrier {},
    "composite" => Composite { name, attributes = Vec::new(), decomposition },
    "sharding_constraint" => ShardingConstraint { axes },
}

records! {
    DotDims {
        lhs_batch = Vec::new(),
        rhs_batch = Vec::new(),
        lhs_contract = Vec::new(),
        rhs_contract = Vec::new(),
    }
    GatherDims {
        offset_dims = Vec::new(),
        collapsed_slice_dims = Vec::new(),
        operand_batching_dims = Vec::new(),
        start_indices_batching_dims = Vec::new(),
        start_index_map = Vec::new(),
        index_vector_dim,
    }
    ScatterDims {
        update_window_dims = Vec::new(),
        inserted_window_dims = Vec::new(),
        input_batching_dims = Vec::new(),
        scatter_indices_batching_dims = Vec::new(),
        scatter_dims_to_operand_dims = Vec::new(),
        index_vector_dim,
    }
}
