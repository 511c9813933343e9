//! Products of weights in few bits.

use lapidary::graph::DType;
use lapidary::graph::nn::{self, EncodedWeight};

use crate::case::Suite;
use crate::inputs::{Random, Values};
use crate::tolerance::Tolerance;

/// Codes of 8 and 4 bits under every type of scale, one for each output or for groups of inputs, with offsets and
/// without.
pub(crate) fn quantized() -> Suite {
    let mut suite = Suite::default();
    let mut random = Random::new(31);
    for (rows, inputs, outputs, group) in [(1, 8, 3, 8), (3, 64, 33, 32), (5, 100, 70, 50), (33, 128, 40, 64)]
    {
        let groups = inputs / group;
        // Codes of 8 bits, of 4, and of 8 by groups: the plugin cannot copy 4-bit arrays.
        for (codes, dims, scales) in [
            (DType::S8, vec![outputs, inputs], [outputs, groups]),
            (DType::U8, vec![outputs, inputs / 2], [outputs, groups]),
            (DType::S8, vec![groups, outputs, group], [groups, outputs]),
        ] {
            for (dtype, scale, has_offsets, result) in [
                (DType::BF16, DType::BF16, false, DType::BF16),
                (DType::BF16, DType::F16, true, DType::F32),
                (DType::F32, DType::F32, false, DType::F32),
                (DType::F32, DType::BF16, true, DType::F32),
            ] {
                let x = random.tensor(dtype, &[rows, 1, inputs], Values::Moderate);
                let stored = random.tensor(codes, &dims, Values::Moderate);
                let subject = format!(
                    "quantized linear of {}, {stored} with {scale} scales{}, to {result}",
                    x.ty(),
                    if has_offsets { " and offsets" } else { "" },
                    stored = stored.ty(),
                );
                let mut operands = vec![x, stored, random.tensor(scale, &scales, Values::Moderate)];
                if has_offsets {
                    operands.push(random.tensor(DType::F32, &scales, Values::Moderate));
                }
                suite.add(subject, dtype, operands, tolerance(dtype, result), move |b, x| {
                    let offsets = x.get(3).copied();
                    let weight = EncodedWeight { codes: x[1], scales: x[2], offsets };
                    Ok(vec![nn::linear(b, x[0], weight, result)?])
                });
            }
        }
    }
    suite
}

/// Sums of f32 differ in their order, and products in bf16 in where they are rounded: before the sum, as numbers that
/// the codes stand for, or not at all.
fn tolerance(x: DType, result: DType) -> Tolerance {
    match (x, result) {
        (DType::F32, _) => Tolerance::OfLargest(32.0),
        (_, DType::F32) => Tolerance::OfLargest(f64::from(1 << 16)),
        _ => Tolerance::OfLargest(2.0),
    }
}
