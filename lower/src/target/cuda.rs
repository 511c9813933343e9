//! XLA's GPU compiler for NVIDIA.

use std::borrow::Cow;

use super::{DotForms, FOUR, Target};

/// NVIDIA GPU.
pub const CUDA: Target = Target {
    name: "cuda",
    // GEMMs accumulate in f32 whatever the result; f32 operands may be rounded to TF32 below the highest
    // precision.
    dots: DotForms {
        narrow_results_through_f32: false,
        row_padding: None,
        // The compiler drops them itself, but only once it has decided to transpose the keys of attention for one row:
        // decode then makes two copies of every layer's.
        drops_single_batches: true,
        merges_rows: false,
        honours_precision: true,
    },
    scalar_extrema_by_selection: false,
    decodes_in_turn: false,
    narrow_cache_writes_by_selection: false,
    weights_by_groups: true,
    kernels: Cow::Borrowed(&[]),
    switched_off: Cow::Borrowed(&[]),
    // XLA's defaults, until a card has shown that others are faster: docs/gpu.md.
    compiler_flags: &[],
    // Weights and caches stay where they are in a loop, which moves no byte more a step (docs/sampling.md).
    decode_steps: FOUR,
    pairs_single_gathers: true,
};
