//! Gathers and scatters.

use lapidary::graph::interp::Tensor;
use lapidary::graph::op::{BinaryKind, GatherDims, ScatterDims};
use lapidary::graph::{BuildError, DType, TensorType};

use crate::case::Suite;
use crate::inputs::{Random, Values};
use crate::tolerance::Tolerance;

pub(crate) fn indexing() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(6);
    for dtype in DType::ALL {
        let mut tensor = |dims: &[usize], values| random.tensor(dtype, dims, values);
        let table = tensor(&[6, 4], Values::Moderate);
        let batched = tensor(&[2, 6, 3], Values::Moderate);
        // Out of range on either side, repeated, and in range.
        let rows = Tensor::from_ints(DType::S32, &[5, 1], &[5, -2, 0, 0, 9]).unwrap();
        suite.add("gather rows", dtype, vec![table.clone(), rows.clone()], Tolerance::Exact, |b, x| {
            let dims = GatherDims {
                offset_dims: vec![1],
                collapsed_slice_dims: vec![0],
                start_index_map: vec![0],
                index_vector_dim: 1,
                ..GatherDims::default()
            };
            Ok(vec![b.gather(x[0], x[1], dims, &[1, 4])?])
        });
        let starts = Tensor::from_ints(DType::S64, &[2, 2, 2], &[0, 0, 5, 1, -1, 2, 3, 1]).unwrap();
        suite.add("gather windows", dtype, vec![table.clone(), starts], Tolerance::Exact, |b, x| {
            let dims = GatherDims {
                offset_dims: vec![0, 3],
                start_index_map: vec![0, 1],
                index_vector_dim: 2,
                ..GatherDims::default()
            };
            Ok(vec![b.gather(x[0], x[1], dims, &[2, 3])?])
        });
        let positions = Tensor::from_ints(DType::S32, &[2, 2, 1], &[0, 5, 3, 8]).unwrap();
        let batched_inputs = vec![batched.clone(), positions.clone()];
        suite.add("gather batched", dtype, batched_inputs, Tolerance::Exact, |b, x| {
            let dims = GatherDims {
                offset_dims: vec![2],
                collapsed_slice_dims: vec![1],
                operand_batching_dims: vec![0],
                start_indices_batching_dims: vec![0],
                start_index_map: vec![1],
                index_vector_dim: 2,
            };
            Ok(vec![b.gather(x[0], x[1], dims, &[1, 1, 3])?])
        });

        let distinct = Tensor::from_ints(DType::S32, &[4, 1], &[5, -1, 0, 6]).unwrap();
        let updates = tensor(&[4, 4], Values::Moderate);
        suite.add(
            "scatter replacing",
            dtype,
            vec![table, distinct, updates],
            Tolerance::Exact,
            move |b, x| {
                let replace = b.nested("replace", |b| {
                    b.param("", TensorType::scalar(dtype));
                    Ok::<_, BuildError>(vec![b.param("", TensorType::scalar(dtype))])
                })?;
                Ok(vec![b.scatter(x[0], x[1], x[2], row_updates(), true, replace)?])
            },
        );
        let whole = tensor(&[6, 4], Values::SmallWhole);
        let updates = tensor(&[5, 4], Values::SmallWhole);
        for kind in [BinaryKind::Add, BinaryKind::Maximum] {
            let inputs = vec![whole.clone(), rows.clone(), updates.clone()];
            suite.add(format!("scatter {}", kind.name()), dtype, inputs, Tolerance::Exact, move |b, x| {
                let combine = b.combiner(kind, dtype)?;
                Ok(vec![b.scatter(x[0], x[1], x[2], row_updates(), false, combine)?])
            });
        }
        let updates = tensor(&[2, 2, 3], Values::SmallWhole);
        let inputs = vec![tensor(&[2, 6, 3], Values::SmallWhole), positions, updates];
        suite.add("scatter batched", dtype, inputs, Tolerance::Exact, move |b, x| {
            let combine = b.combiner(BinaryKind::Add, dtype)?;
            let dims = ScatterDims {
                update_window_dims: vec![2],
                inserted_window_dims: vec![1],
                input_batching_dims: vec![0],
                scatter_indices_batching_dims: vec![0],
                scatter_dims_to_operand_dims: vec![1],
                index_vector_dim: 2,
            };
            Ok(vec![b.scatter(x[0], x[1], x[2], dims, false, combine)?])
        });
    }
    suite
}

/// Updates of whole rows of a matrix.
fn row_updates() -> ScatterDims {
    ScatterDims {
        update_window_dims: vec![1],
        inserted_window_dims: vec![0],
        scatter_dims_to_operand_dims: vec![0],
        index_vector_dim: 1,
        ..ScatterDims::default()
    }
}
