//! Weights that are decoded to f32 where they are read.

use crate::linear::Weights;
use crate::quantized::Codes;
use crate::quantized::layer::Layer;
use crate::quantized::plain::{decode_int4, decode_int8};

/// The weight of a layer.
pub(super) struct Decoded<'a>(pub(super) &'a Layer<'a>);

impl Weights for Decoded<'_> {
    #[inline(always)]
    fn read(&self, output: usize, input: usize, to: &mut [f32]) {
        let (layer, group) = (self.0, self.0.group());
        let codes = layer.row(output);
        let (mut input, mut to) = (input, to);
        while !to.is_empty() {
            // Inputs begin at a multiple of two, and groups of int4 do.
            let index = input / group;
            let (weights, rest) = to.split_at_mut(((index + 1) * group - input).min(to.len()));
            let (scale, offset) = (layer.scale(output, index), layer.offset(output, index));
            match layer.codes() {
                Codes::Int8(_) => decode_int8(codes.get(input..).unwrap_or_default(), scale, offset, weights),
                Codes::Int4(_) => {
                    decode_int4(codes.get(input / 2..).unwrap_or_default(), scale, offset, weights)
                }
            }
            input += weights.len();
            to = rest;
        }
    }

    #[inline(always)]
    fn place(&self, output: usize, input: usize) -> *const u8 {
        let bytes = match self.0.codes() {
            Codes::Int8(_) => input,
            Codes::Int4(_) => input / 2,
        };
        self.0.row(output).as_ptr().wrapping_add(bytes)
    }
}
