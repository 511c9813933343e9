//! XLA's TPU compiler.

use std::borrow::Cow;

use super::{DotForms, FOUR, Target};

/// TPU.
pub const TPU: Target = Target {
    name: "tpu",
    // The matrix unit accumulates in f32 whatever the result, and takes f32 operands in 1, 3 or 6 bf16
    // passes by precision.
    dots: DotForms {
        narrow_results_through_f32: false,
        row_padding: None,
        drops_single_batches: false,
        merges_rows: false,
        honours_precision: true,
    },
    scalar_extrema_by_selection: false,
    decodes_in_turn: false,
    narrow_cache_writes_by_selection: false,
    weights_by_groups: true,
    kernels: Cow::Borrowed(&[]),
    switched_off: Cow::Borrowed(&[]),
    compiler_flags: &[],
    // Weights and caches stay where they are in a loop, which moves no byte more a step (docs/sampling.md).
    decode_steps: FOUR,
    pairs_single_gathers: false,
};
