//! Dots, reductions and sorts.

use lapidary::graph::element::{self, Scalar};
use lapidary::graph::op::{BinaryKind, Comparison, DotDims, Precision};
use lapidary::graph::{BuildError, DType, FuncId, FunctionBuilder, Literal, Op, TensorType};

use crate::case::Suite;
use crate::inputs::{Random, Values, edges, largest};
use crate::tolerance::Tolerance;

/// Dots: exact where every partial sum is, and of any values within the precision of a sum.
pub(crate) fn dots() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(7);
    for dtype in DType::ALL {
        for result in result_types(dtype) {
            let suffix = if result == dtype { String::new() } else { format!(" to {result}") };
            let mut add = |form: &str, lhs: &[usize], rhs: &[usize], dims: DotDims, values, tolerance| {
                let inputs = vec![random.tensor(dtype, lhs, values), random.tensor(dtype, rhs, values)];
                suite.add(format!("dot {form}{suffix}"), dtype, inputs, tolerance, move |b, x| {
                    Ok(vec![b.dot_general(x[0], x[1], dims.clone(), Precision::Highest, result)?])
                });
            };
            let contract = |lhs: &[usize], rhs: &[usize]| DotDims {
                lhs_contract: lhs.to_vec(),
                rhs_contract: rhs.to_vec(),
                ..DotDims::default()
            };
            // A sum of products that are zeros may have either sign.
            let exact = Tolerance::Ulps(0);
            add("matrices", &[3, 4], &[4, 5], contract(&[1], &[0]), Values::SmallWhole, exact);
            add("transposed", &[20, 4], &[17, 4], contract(&[1], &[1]), Values::SmallWhole, exact);
            add("vectors", &[4], &[4], contract(&[0], &[0]), Values::SmallWhole, exact);
            add("outer", &[3], &[2], contract(&[], &[]), Values::SmallWhole, exact);
            add(
                "two contracted",
                &[2, 3, 2],
                &[2, 5, 2],
                contract(&[2, 0], &[0, 2]),
                Values::SmallWhole,
                exact,
            );
            let batched = DotDims { lhs_batch: vec![0], rhs_batch: vec![1], ..contract(&[2], &[0]) };
            add("batched", &[2, 3, 4], &[4, 2, 5], batched, Values::SmallWhole, exact);
            let one_row = DotDims { lhs_batch: vec![2, 1], rhs_batch: vec![2, 0], ..contract(&[3], &[1]) };
            add("a batch of one", &[3, 1, 2, 4], &[1, 4, 2, 5], one_row, Values::SmallWhole, exact);
            if dtype.is_float() {
                let near = Tolerance::OfLargest(2.0);
                add("rounded", &[16, 24], &[8, 24], contract(&[1], &[1]), Values::Moderate, near);
            }
        }
    }
    // Few rows against a large weight, which targets may pad. The interpreter takes a while for these.
    for dtype in [DType::BF16, DType::F16, DType::F32] {
        let inputs = vec![
            random.tensor(dtype, &[2, 1, 512], Values::Moderate),
            random.tensor(dtype, &[1024, 512], Values::Moderate),
        ];
        suite.add("dot few rows", dtype, inputs, Tolerance::OfLargest(16.0), move |b, x| {
            let dims = DotDims { lhs_contract: vec![2], rhs_contract: vec![1], ..DotDims::default() };
            Ok(vec![b.dot_general(x[0], x[1], dims, Precision::Highest, dtype)?])
        });
    }
    suite
}

/// The result types that programs ask for: the operands' own, and the accumulator's.
fn result_types(dtype: DType) -> Vec<DType> {
    match dtype {
        DType::F8E4M3FN | DType::F8E5M2 | DType::BF16 | DType::F16 => vec![dtype, DType::F32],
        DType::S4 | DType::S8 => vec![dtype, DType::S32],
        DType::U4 | DType::U8 => vec![dtype, DType::U32],
        _ => vec![dtype],
    }
}

pub(crate) fn reductions() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(8);
    let kinds = [
        BinaryKind::Add,
        BinaryKind::Multiply,
        BinaryKind::Maximum,
        BinaryKind::Minimum,
        BinaryKind::And,
        BinaryKind::Or,
        BinaryKind::Xor,
    ];
    for dtype in DType::ALL {
        for kind in kinds {
            let values = match kind {
                BinaryKind::Maximum | BinaryKind::Minimum => Values::Ordinary,
                _ => Values::SmallWhole,
            };
            // Three factors at most, so that products of small floats are exact too.
            let inputs = vec![random.tensor(dtype, &[4, 3, 2], values)];
            suite.add(format!("reduce {}", kind.name()), dtype, inputs, Tolerance::Ulps(0), move |b, x| {
                let init = b.constant(Literal::scalar(dtype, identity(kind, dtype)))?;
                let body = b.combiner(kind, dtype)?;
                Ok(vec![
                    b.reduce(x[0], init, &[1], body)?,
                    b.reduce(x[0], init, &[0, 2], body)?,
                    b.reduce(x[0], init, &[], body)?,
                ])
            });
        }
        if dtype.is_float() {
            let inputs = vec![random.tensor(dtype, &[4, 64], Values::Moderate)];
            suite.add("reduce rounded sum", dtype, inputs, Tolerance::OfLargest(16.0), move |b, x| {
                let zero = b.constant(Literal::float(dtype, 0.0))?;
                let body = b.combiner(BinaryKind::Add, dtype)?;
                Ok(vec![b.reduce(x[0], zero, &[1], body)?])
            });
        }
        let inputs = vec![random.tensor(dtype, &[5, 9], Values::Moderate)];
        suite.add("reduce arg max", dtype, inputs, Tolerance::Exact, move |b, x| {
            let body = arg_max(b, dtype)?;
            let first = b.slice(x[0], &[0, 0], &[1, 1], &[1, 1])?;
            let first = b.reshape(first, &[])?;
            let zero = b.constant(Literal::int(DType::S32, 0))?;
            let positions = b.iota(TensorType::new(DType::S32, [5, 9]), 1)?;
            b.push(Op::Reduce { dims: vec![1], body }, &[x[0], positions, first, zero])
        });
        let inputs = vec![
            random.tensor(dtype, &[0, 3], Values::Moderate),
            random.tensor(dtype, &[], Values::Moderate),
        ];
        suite.add("reduce nothing", dtype, inputs, Tolerance::Exact, move |b, x| {
            let body = b.combiner(BinaryKind::Add, dtype)?;
            Ok(vec![b.reduce(x[0], x[1], &[0], body)?])
        });
    }
    suite
}

/// What `kind` leaves other values as they are with: XLA may combine it in as often as it likes.
fn identity(kind: BinaryKind, dtype: DType) -> Scalar {
    let (min, max) = element::integer_range(dtype);
    match kind {
        BinaryKind::Multiply => Scalar::Int(1),
        // The one float type without infinities.
        BinaryKind::Maximum if dtype == DType::F8E4M3FN => Scalar::Float(-largest(dtype)),
        BinaryKind::Minimum if dtype == DType::F8E4M3FN => Scalar::Float(largest(dtype)),
        BinaryKind::Maximum if dtype.is_float() => Scalar::Float(f64::NEG_INFINITY),
        BinaryKind::Minimum if dtype.is_float() => Scalar::Float(f64::INFINITY),
        BinaryKind::Maximum => Scalar::Int(min),
        BinaryKind::Minimum => Scalar::Int(max),
        BinaryKind::And => Scalar::Int(if min < 0 { -1 } else { max }),
        _ => Scalar::Int(0),
    }
}

/// The greater value and its position; of equal values the first position.
fn arg_max(b: &mut FunctionBuilder<'_>, dtype: DType) -> Result<FuncId, BuildError> {
    b.nested("arg_max", |b| {
        let [a, i] = [TensorType::scalar(dtype), TensorType::scalar(DType::S32)].map(|ty| b.param("", ty));
        let [c, j] = [TensorType::scalar(dtype), TensorType::scalar(DType::S32)].map(|ty| b.param("", ty));
        let greater = b.compare(Comparison::Gt, a, c)?;
        let equal = b.compare(Comparison::Eq, a, c)?;
        let earlier = b.compare(Comparison::Lt, i, j)?;
        let tie = b.and(equal, earlier)?;
        let first = b.or(greater, tie)?;
        Ok(vec![b.select(first, a, c)?, b.select(first, i, j)?])
    })
}

pub(crate) fn sorts() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(9);
    for dtype in DType::ALL {
        let inputs = vec![random.tensor(dtype, &[3, 40], Values::SmallWhole)];
        for direction in [Comparison::Lt, Comparison::Gt] {
            let subject = if direction == Comparison::Lt { "ascending" } else { "descending" };
            suite.add(
                format!("sort {subject} with positions"),
                dtype,
                inputs.clone(),
                Tolerance::Exact,
                move |b, x| {
                    let comparator = by_first(b, &[dtype, DType::S32], direction, false)?;
                    let positions = b.iota(TensorType::new(DType::S32, [3, 40]), 1)?;
                    b.sort(&[x[0], positions], 1, true, comparator)
                },
            );
        }
        let column = random.tensor(dtype, &[40, 3], Values::Moderate);
        suite.add("sort columns", dtype, vec![column], Tolerance::Exact, move |b, x| {
            let comparator = by_first(b, &[dtype], Comparison::Lt, false)?;
            b.sort(&[x[0]], 0, false, comparator)
        });
        let inputs = vec![crate::inputs::vector(dtype, edges(dtype))];
        suite.add("sort edge values totally", dtype, inputs, Tolerance::Exact, move |b, x| {
            let comparator = by_first(b, &[dtype], Comparison::Lt, true)?;
            b.sort(&[x[0]], 0, true, comparator)
        });
    }
    suite
}

/// A comparator on the first of several operands.
fn by_first(
    b: &mut FunctionBuilder<'_>,
    dtypes: &[DType],
    direction: Comparison,
    total_order: bool,
) -> Result<FuncId, BuildError> {
    b.nested("by_first", |b| {
        let pairs: Vec<_> =
            dtypes.iter().map(|&dtype| [(); 2].map(|()| b.param("", TensorType::scalar(dtype)))).collect();
        b.push(Op::Compare { direction, total_order }, &pairs[0])
    })
}
