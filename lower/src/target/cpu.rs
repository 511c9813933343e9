//! XLA's CPU compiler, measured on `xla-cpu-pjrt` 0.0.1.

use super::{DotForms, RowPadding, Target};

/// CPU.
pub const CPU: Target = Target {
    name: "cpu",
    dots: DotForms {
        // bf16 -> bf16 upcasts whole operands: 68 GFLOP/s at 512 rows, against 312 for bf16 -> f32.
        narrow_results_through_f32: true,
        // One row becomes a matvec that recomputes its producers inside the dot's loop and converts large
        // weights to f32 first; sixteen rows decode 2.1 times as fast. Small dots stay what they are: there
        // the padding would cost more than the matvec.
        row_padding: Some(RowPadding { rows: 16, min_rhs_bytes: 1 << 20 }),
        honours_precision: false,
    },
    kernels: &[],
    // By default a NaN on one side of maximum, minimum and clamp loses.
    compiler_flags: &[("xla_cpu_enable_fast_min_max", false)],
};
