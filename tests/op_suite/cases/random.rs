//! Random bits.

use lapidary::graph::element::Scalar;
use lapidary::graph::op::RngAlgorithm;
use lapidary::graph::{DType, TensorType};

use crate::case::Suite;
use crate::inputs::vector;
use crate::tolerance::Tolerance;

pub(crate) fn random_bits() -> Suite {
    let mut suite = Suite::default();
    for dtype in DType::ALL {
        for &algorithm in RngAlgorithm::ALL {
            for words in [2, 3] {
                let state = [0x0123_4567_89ab_cdef, 42, 7].into_iter().take(words).map(Scalar::Int).collect();
                let inputs = vec![vector(DType::U64, state)];
                let subject = format!("rng_bit_generator {} of {words} words", algorithm.name());
                suite.add(subject, dtype, inputs, Tolerance::Exact, move |b, x| {
                    // An odd count, so that the last words are half used.
                    let mut results = b.rng_bit_generator(algorithm, x[0], TensorType::new(dtype, [3, 7]))?;
                    results.extend(b.rng_bit_generator(algorithm, x[0], TensorType::new(dtype, []))?);
                    Ok(results)
                });
            }
        }
    }
    suite
}
