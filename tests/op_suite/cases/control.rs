//! Control flow, calls and composites.

use lapidary::graph::op::{BinaryKind, Comparison};
use lapidary::graph::{
    Attr, BuildError, DType, FuncId, FunctionBuilder, Literal, LogicalAxes, TensorType, ValueId,
};

use crate::case::Suite;
use crate::inputs::{Random, Values, vector};
use crate::tolerance::Tolerance;
use lapidary::graph::element::Scalar;

pub(crate) fn control_flow() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(10);
    for dtype in DType::ALL {
        let x = random.tensor(dtype, &[4], Values::SmallWhole);
        let exact = Tolerance::Exact;
        suite.add("while", dtype, vec![x.clone()], exact, move |b, x| {
            let carried = [TensorType::scalar(DType::S32), TensorType::new(dtype, [4])];
            let cond = b.nested("below_three", |b| {
                let params = carried.clone().map(|ty| b.param("", ty));
                let three = b.constant(Literal::int(DType::S32, 3))?;
                Ok::<_, BuildError>(vec![b.compare(Comparison::Lt, params[0], three)?])
            })?;
            let body = b.nested("rotate", |b| {
                let params = carried.clone().map(|ty| b.param("", ty));
                let one = b.constant(Literal::int(DType::S32, 1))?;
                let [head, tail] = [(0, 1), (1, 4)].map(|(from, to)| b.slice_dim(params[1], 0, from, to));
                Ok::<_, BuildError>(vec![b.add(params[0], one)?, b.concatenate(&[tail?, head?], 0)?])
            })?;
            let zero = b.constant(Literal::int(DType::S32, 0))?;
            b.while_loop(&[zero, x[0]], cond, body)
        });
        let ty = TensorType::new(dtype, [4]);
        let choices = vector(DType::Pred, vec![Scalar::Bool(true), Scalar::Bool(false)]);
        let branch_ty = ty.clone();
        suite.add("if", dtype, vec![x.clone(), choices], exact, move |b, x| {
            let [same, reversed] = branches(b, &branch_ty)?;
            let mut results = Vec::new();
            for at in 0..2 {
                let pred = scalar_at(b, x[1], at)?;
                results.extend(b.if_else(pred, &[x[0]], same, reversed)?);
            }
            Ok(results)
        });
        let indices = vector(DType::S32, [-1, 0, 1, 2].map(Scalar::Int).to_vec());
        suite.add("case", dtype, vec![x.clone(), indices], exact, move |b, x| {
            let [same, reversed] = branches(b, &ty)?;
            let mut results = Vec::new();
            for at in 0..4 {
                let index = scalar_at(b, x[1], at)?;
                results.extend(b.case(index, &[x[0]], &[same, reversed])?);
            }
            Ok(results)
        });
        suite.add("call", dtype, vec![x.clone()], exact, move |b, x| {
            let [_, reversed] = branches(b, &TensorType::new(dtype, [4]))?;
            let once = b.call(reversed, x)?;
            Ok([b.call(reversed, &once)?, once].concat())
        });
        suite.add("composite", dtype, vec![x.clone()], exact, move |b, x| {
            let attributes = vec![("times".to_string(), Attr::Int(2))];
            Ok(vec![
                b.composite("test.double", attributes, [x[0]], |b, [x]| b.binary(BinaryKind::Add, x, x))?,
            ])
        });
        suite.add("sharding_constraint", dtype, vec![x], exact, |b, x| {
            Ok(vec![b.sharding_constraint(x[0], LogicalAxes::of(&["batch"]))?])
        });
    }
    suite
}

/// The identity and a reversal.
fn branches(b: &mut FunctionBuilder<'_>, ty: &TensorType) -> Result<[FuncId; 2], BuildError> {
    let same = b.nested("same", |b| Ok::<_, BuildError>(vec![b.param("", ty.clone())]))?;
    let reversed = b.nested("reversed", |b| {
        let x = b.param("", ty.clone());
        Ok::<_, BuildError>(vec![b.reverse(x, &[0])?])
    })?;
    Ok([same, reversed])
}

fn scalar_at(b: &mut FunctionBuilder<'_>, vector: ValueId, at: usize) -> Result<ValueId, BuildError> {
    let element = b.slice_dim(vector, 0, at, at + 1)?;
    b.reshape(element, &[])
}
