//! Elementwise ops.

use lapidary::graph::dtype::DTypeKind;
use lapidary::graph::element::Scalar;
use lapidary::graph::interp::Tensor;
use lapidary::graph::op::{BinaryKind, Comparison, UnaryKind};
use lapidary::graph::{DType, Op};

use crate::case::Suite;
use crate::inputs::{Random, Values, one_operand, two_operands, two_ordered_operands, vector};
use crate::tolerance::{Tolerance, of_binary, of_unary};

pub(crate) fn unary() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(1);
    for &kind in UnaryKind::ALL {
        for dtype in DType::ALL {
            let inputs = one_operand(dtype, &mut random);
            suite.add(kind.name(), dtype, inputs, of_unary(kind, dtype), move |b, x| {
                Ok(vec![b.unary(kind, x[0])?])
            });
        }
    }
    suite
}

pub(crate) fn binary() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(2);
    for &kind in BinaryKind::ALL {
        for dtype in DType::ALL {
            let name = kind.name();
            let mut add = |subject: String, inputs: Vec<Tensor>| {
                suite.add(subject, dtype, inputs, of_binary(kind, dtype), move |b, x| {
                    Ok(vec![b.binary(kind, x[0], x[1])?])
                });
            };
            match kind {
                BinaryKind::Maximum | BinaryKind::Minimum if dtype.is_float() => {
                    add(name.to_string(), two_ordered_operands(dtype, &mut random));
                    add(format!("{name} of NaN"), two_operands(dtype, &mut random));
                }
                BinaryKind::Power if dtype.is_integer() => {
                    let bases = random.tensor(dtype, &[16], Values::Any);
                    let range = |first| vector(dtype, (first..first + 16).map(Scalar::Int).collect());
                    let negative = if dtype.kind() == DTypeKind::Signed { -3 } else { 0 };
                    add(name.to_string(), vec![bases.clone(), range(negative)]);
                    // Their range has no exponent of 64.
                    if dtype.bits() > 4 {
                        add(format!("{name} of large exponents"), vec![bases, range(64)]);
                    }
                }
                _ => add(name.to_string(), two_operands(dtype, &mut random)),
            }
        }
    }
    suite
}

/// Comparisons, select and clamp.
pub(crate) fn choice() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(3);
    for dtype in DType::ALL {
        let pairs = two_operands(dtype, &mut random);
        for total_order in [false, true] {
            let subject = if total_order { "compare total_order" } else { "compare" };
            suite.add(subject, dtype, pairs.clone(), Tolerance::Exact, move |b, x| {
                let mut results = Vec::new();
                for &direction in Comparison::ALL {
                    results.extend(b.push(Op::Compare { direction, total_order }, x)?);
                }
                Ok(results)
            });
        }
        suite.add("select", dtype, pairs.clone(), Tolerance::Exact, |b, x| {
            let chosen = b.compare(Comparison::Lt, x[0], x[1])?;
            let by_element = b.select(chosen, x[0], x[1])?;
            let first = b.slice_dim(chosen, 0, 0, 1)?;
            let scalar = b.reshape(first, &[])?;
            Ok(vec![by_element, b.select(scalar, x[0], x[1])?])
        });
        let mut clamp = |subject: &str, operands: Vec<Tensor>| {
            suite.add(subject, dtype, operands, Tolerance::Ulps(0), |b, x| {
                let low = b.slice_dim(x[1], 0, 0, 1)?;
                let low = b.reshape(low, &[])?;
                let reversed = b.reverse(x[1], &[0])?;
                Ok(vec![b.clamp(low, x[0], low)?, b.clamp(x[1], x[0], reversed)?])
            });
        };
        clamp("clamp", two_ordered_operands(dtype, &mut random));
        if dtype.is_float() {
            clamp("clamp of NaN", pairs);
        }
    }
    suite
}

/// Conversions of value and of bits, from every type to every other.
pub(crate) fn conversions() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(4);
    for from in DType::ALL {
        for to in DType::ALL {
            let inputs = one_operand(from, &mut random);
            suite.add(
                format!("convert to {to} from"),
                from,
                inputs.clone(),
                Tolerance::Exact,
                move |b, x| b.push(Op::Convert { to }, x),
            );
            // So many elements make one of a wider type.
            let wider = (to.bits() / from.bits()).max(1);
            let count = inputs[0].ty().num_elements() / wider;
            suite.add(
                format!("bitcast_convert to {to} from"),
                from,
                inputs,
                Tolerance::Exact,
                move |b, x| {
                    let whole = b.slice_dim(x[0], 0, 0, count * wider)?;
                    let dims: &[usize] = if wider > 1 { &[count, wider] } else { &[count] };
                    let grouped = b.reshape(whole, dims)?;
                    Ok(vec![b.bitcast_convert(grouped, to)?])
                },
            );
        }
    }
    suite
}
