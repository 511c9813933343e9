//! Ops that move elements without changing them.

use lapidary::graph::interp::Tensor;
use lapidary::graph::{DType, Literal, TensorType};

use crate::case::Suite;
use crate::inputs::{Random, Values, edges, vector};
use crate::tolerance::Tolerance;

pub(crate) fn shapes() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(5);
    for dtype in DType::ALL {
        let mut matrix = |dims: &[usize]| random.tensor(dtype, dims, Values::Moderate);
        let (x, y, empty) = (matrix(&[3, 5]), matrix(&[2, 5]), matrix(&[0, 5]));
        let cube = matrix(&[2, 3, 4]);
        let exact = Tolerance::Exact;

        let literal =
            Literal::from_scalars(TensorType::new(dtype, [edges(dtype).len()]), edges(dtype)).unwrap();
        suite.add("constant", dtype, Vec::new(), exact, move |b, _| {
            let scalar = Literal::int(dtype, 1);
            let long = (0..300).map(|i| edges(dtype)[i % edges(dtype).len()]);
            let long = Literal::from_scalars(TensorType::new(dtype, [3, 100]), long).unwrap();
            Ok(vec![b.constant(literal.clone())?, b.constant(scalar)?, b.constant(long)?])
        });
        suite.add("iota", dtype, Vec::new(), exact, move |b, _| {
            let ty = TensorType::new(dtype, [3, 7]);
            Ok(vec![b.iota(ty.clone(), 0)?, b.iota(ty, 1)?])
        });
        suite.add("broadcast_in_dim", dtype, vec![x.clone(), matrix(&[1, 5]), matrix(&[])], exact, |b, x| {
            Ok(vec![
                b.broadcast(x[0], &[3, 2, 5], &[0, 2])?,
                b.broadcast(x[1], &[4, 5], &[0, 1])?,
                b.broadcast(x[2], &[2, 2], &[])?,
            ])
        });
        suite.add("reshape", dtype, vec![cube.clone()], exact, |b, x| {
            Ok(vec![b.reshape(x[0], &[4, 6])?, b.reshape(x[0], &[24, 1])?])
        });
        suite.add("transpose", dtype, vec![cube.clone()], exact, |b, x| {
            Ok(vec![b.transpose(x[0], &[2, 0, 1])?, b.transpose(x[0], &[1, 0, 2])?])
        });
        suite.add("concatenate", dtype, vec![x.clone(), y.clone(), empty], exact, |b, x| {
            Ok(vec![b.concatenate(x, 0)?, b.concatenate(&[x[0], x[0]], 1)?])
        });
        suite.add("slice", dtype, vec![x.clone()], exact, |b, x| {
            Ok(vec![b.slice(x[0], &[1, 0], &[3, 5], &[1, 2])?, b.slice(x[0], &[0, 4], &[3, 4], &[1, 1])?])
        });
        suite.add("reverse", dtype, vec![cube], exact, |b, x| {
            Ok(vec![b.reverse(x[0], &[0, 2])?, b.reverse(x[0], &[])?])
        });
        suite.add("pad", dtype, vec![x.clone(), matrix(&[])], exact, |b, x| {
            Ok(vec![
                b.pad(x[0], x[1], &[1, 0], &[0, 2], &[0, 0])?,
                b.pad(x[0], x[1], &[-1, 2], &[1, -3], &[2, 1])?,
            ])
        });
        suite.add(
            "dynamic_slice",
            dtype,
            vec![x.clone(), starts(&[-4, 1, 7]), starts(&[3])],
            exact,
            |b, x| {
                let mut slices = Vec::new();
                for at in 0..3 {
                    let row = b.slice_dim(x[1], 0, at, at + 1)?;
                    let row = b.reshape(row, &[])?;
                    let column = b.reshape(x[2], &[])?;
                    slices.push(b.dynamic_slice(x[0], &[row, column], &[2, 2])?);
                }
                Ok(slices)
            },
        );
        let window = matrix(&[2, 2]);
        let inputs = vec![x.clone(), window, starts(&[-4, 1, 7])];
        suite.add("dynamic_update_slice", dtype, inputs, exact, |b, x| {
            let mut updated = Vec::new();
            for at in 0..3 {
                let start = b.slice_dim(x[2], 0, at, at + 1)?;
                let start = b.reshape(start, &[])?;
                updated.push(b.dynamic_update_slice(x[0], x[1], &[start, start])?);
            }
            Ok(updated)
        });
        suite.add("optimization_barrier", dtype, vec![x, y], exact, |b, x| b.optimization_barrier(x));
    }
    suite
}

fn starts(values: &[i64]) -> Tensor {
    vector(DType::S32, values.iter().map(|&v| lapidary::graph::element::Scalar::Int(v.into())).collect())
}
