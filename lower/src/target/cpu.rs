//! XLA's CPU compiler, measured on `xla-cpu-pjrt` 0.0.1.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use lapidary_graph::{DType, TensorType};

use super::{DotForms, Kernel, RowPadding, Target};

/// CPU.
pub const CPU: Target = Target {
    name: "cpu",
    dots: DotForms {
        // bf16 -> f32 runs in YNNPACK's AMX kernel, at 470 to 680 GFLOP/s at 512 rows; bf16 -> bf16 converts whole
        // operands to f32 first, at 70 to 100.
        narrow_results_through_f32: true,
        // One row becomes a matvec that recomputes its producers inside the dot's loop and converts large
        // weights to f32 first; sixteen rows decode 2.1 times as fast. Small dots stay what they are: there
        // the padding would cost more than the matvec.
        row_padding: Some(RowPadding { rows: 16, min_rhs_bytes: 1 << 20 }),
        drops_single_batches: false,
        // Products with several free dimensions are brought into this form by transposing the right operand: the keys of a
        // whole cache.
        merges_rows: true,
        honours_precision: false,
    },
    // `maximum` that keeps NaN does not vectorise: the greatest of 512 f32 took 5 ns an element, as a selection
    // 0.5, which is 5% of the processor time of a prefill of 512 tokens, and 22% where the cache has 8192 slots.
    scalar_extrema_by_selection: true,
    // Six matrices of 9216 x 4608 in a chain: 487 MiB of temporary memory, and 82 in turn.
    decodes_in_turn: true,
    // An update of bf16 is one of f32, between a conversion of the whole cache and one back. A scatter is that too, and turns
    // the cache around before and after: eight rows at 1000 positions decode half as fast with it.
    narrow_cache_writes_by_selection: true,
    weights_by_groups: false,
    kernels: Cow::Borrowed(&[]),
    switched_off: Cow::Borrowed(&[]),
    // By default a NaN on one side of maximum, minimum and clamp loses.
    compiler_flags: &[("xla_cpu_enable_fast_min_max", false)],
    // A loop converts the embedding to f32 once a dispatch, 2.4 GB of it in 2B; handing a step over takes microseconds.
    decode_steps: NonZeroUsize::MIN,
    pairs_single_gathers: false,
};

/// The linear layer in bf16, for any number of rows: on processors whose kernel is ahead of XLA's code for many too.
pub const LINEAR: Kernel = of_bf16("lapidary.linear", "lapidary_linear");

/// The linear layer in bf16 for so few rows that reading the weight is all the work.
pub const LINEAR_FEW_ROWS: Kernel =
    Kernel { accepts: |operands, _| is_bf16(operands) && rows(operands) <= 4, ..LINEAR };

/// Attention in bf16 over a cache in bf16 or in 8 bits, for any number of queries: on processors whose kernel is ahead of XLA's code for many
/// too.
pub const ATTENTION: Kernel = Kernel {
    composite: "lapidary.attention",
    call_target: "lapidary_attention",
    accepts: |operands, _| is_attention_in_bf16(operands),
    updates: None,
};

/// The linear layer with codes of 8 or 4 bits and `x` in bf16, for any number of rows: the decomposition would write all of
/// the weight in bf16 with every call.
pub const QUANTIZED_LINEAR: Kernel = Kernel {
    composite: "lapidary.quantized_linear",
    call_target: "lapidary_quantized_linear",
    accepts: |operands, _| is_quantized_for_bf16(operands),
    updates: None,
};

/// Writing keys or values into their cache: bf16, or codes of 8 bits, and what these are multiplied by.
pub const CACHE_WRITE: Kernel = Kernel {
    composite: "lapidary.cache_write",
    call_target: "lapidary_cache_write",
    accepts: |operands, _| is_cache_write(operands),
    updates: Some(0),
};

/// Attention of one token a sequence over such a cache.
pub const DECODE_ATTENTION: Kernel =
    Kernel { accepts: |operands, _| is_attention_in_bf16(operands) && queries(operands) == 1, ..ATTENTION };

/// RMSNorm in bf16.
pub const RMS_NORM: Kernel = of_bf16("lapidary.rms_norm", "lapidary_rms_norm");

/// RoPE in bf16, by tables in f32.
pub const ROPE: Kernel = Kernel {
    accepts: |operands, _| operands.first().is_some_and(|x| x.dtype == DType::BF16),
    ..of_bf16("lapidary.rope", "lapidary_rope")
};

/// The gate of the feed-forward in bf16.
pub const GEGLU: Kernel = of_bf16("lapidary.geglu", "lapidary_geglu");

/// A residual sum in bf16.
pub const RESIDUAL_ADD: Kernel = of_bf16("lapidary.residual_add", "lapidary_residual_add");

/// What rows go through between products. All or none: of a sum that follows a call, XLA makes a part of every loop after it.
pub const ROWS: [Kernel; 4] = [RMS_NORM, ROPE, GEGLU, RESIDUAL_ADD];

/// Every kernel, in the form for any number of rows.
pub const KERNELS: [Kernel; 8] =
    [LINEAR, QUANTIZED_LINEAR, ATTENTION, CACHE_WRITE, RMS_NORM, ROPE, GEGLU, RESIDUAL_ADD];

/// A kernel that takes any operands, if all are bf16.
const fn of_bf16(composite: &'static str, call_target: &'static str) -> Kernel {
    Kernel { composite, call_target, accepts: |operands, _| is_bf16(operands), updates: None }
}

fn is_bf16(operands: &[TensorType]) -> bool {
    operands.iter().all(|operand| operand.dtype == DType::BF16)
}

/// Whether these are `x`, codes row by row, scales and perhaps offsets of types that the kernel knows.
fn is_quantized_for_bf16(operands: &[TensorType]) -> bool {
    let [x, codes, scales, offsets @ ..] = operands else { return false };
    x.dtype == DType::BF16
        && matches!(codes.dtype, DType::S8 | DType::U8)
        && codes.dims.len() == 2
        && matches!(scales.dtype, DType::BF16 | DType::F16 | DType::F32)
        && offsets.iter().all(|offsets| offsets.dtype == DType::F32)
}

/// Rows of the left operand of a linear layer: the product of all its dimensions but the last.
fn rows(operands: &[TensorType]) -> usize {
    let dims = operands.first().and_then(|x| x.dims.split_last());
    dims.map_or(1, |(_, leading)| leading.iter().product())
}

fn is_attention_in_bf16(operands: &[TensorType]) -> bool {
    let all = |operands: &[&TensorType], dtype| operands.iter().all(|operand| operand.dtype == dtype);
    match operands {
        [query, _, keys, values, _] => all(&[query, keys, values], DType::BF16),
        [query, _, keys, values, _, key_scales, value_scales] => {
            query.dtype == DType::BF16
                && all(&[keys, values], DType::S8)
                && all(&[key_scales, value_scales], DType::F32)
        }
        _ => false,
    }
}

/// Whether these are a cache and an update of types that are written as they are. A scale is one number a head.
fn is_cache_write(operands: &[TensorType]) -> bool {
    let [cache, update, ..] = operands else { return false };
    let is_scales = cache.dtype == DType::F32 && cache.rank() == 3;
    cache.dtype == update.dtype && (matches!(cache.dtype, DType::BF16 | DType::S8) || is_scales)
}

/// Queries of each sequence.
fn queries(operands: &[TensorType]) -> usize {
    operands.first().and_then(|query| query.dims.get(1)).copied().unwrap_or(0)
}
