//! Many rows: the products are most of the work. Weights are decoded to bf16, a band of them at a time, for the tiles of the layer in bf16.

use std::arch::x86_64::{_mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_si512};
use std::cell::RefCell;

use half::bf16;

use super::blocks::{Block, VECTOR, as_bits};
use super::inputs::Order;
use crate::linear::{Band, Bands, linear_of_bands};
use crate::quantized::Scales;
use crate::quantized::avx512::bytes::{self, BYTES};
use crate::quantized::avx512::groups::BlockGroups;
use crate::quantized::avx512::lanes_have_one_group;
use crate::quantized::layer::Layer;
use crate::tiles::{Rows, STEP, TILE};
use crate::{LinearResult, LinearShape, Pool};

/// Outputs of a band.
const BAND: usize = 2 * TILE;

/// Whether there are enough outputs for a band, and groups that end where lanes do.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    layer.shape.outputs >= BAND && lanes_have_one_group(layer)
}

/// Computes a layer.
///
/// # Safety
/// As [`super::linear`]; [`takes`] says yes, and `out` is the layer's.
pub(super) unsafe fn linear<const V: usize, B: Block<V>>(
    pool: &Pool,
    layer: &Layer<'_>,
    out: LinearResult<'_>,
) {
    thread_local! {
        // Kept from call to call: fresh memory costs a fault a page.
        static ORDERED: RefCell<Vec<bf16>> = const { RefCell::new(Vec::new()) };
    }
    let LinearShape { rows, inputs, .. } = layer.shape;
    let whole_blocks = inputs.next_multiple_of(B::INPUTS);
    ORDERED.with_borrow_mut(|x| {
        let size = rows * whole_blocks;
        x.resize(size.max(x.len()), bf16::ZERO);
        let x = x.get_mut(..size).unwrap_or_default();
        let order = Order::<B, V>::of_weights();
        pool.each_chunk(x, whole_blocks, &|row, ordered| {
            // SAFETY: the processor has AVX-512.
            unsafe { put_in_order(&order, layer.x_row(row), ordered) };
        });
        let groups = BlockGroups::of_row(inputs, layer.group(), B::INPUTS);
        let weight = Decoded { layer, groups, _block: std::marker::PhantomData::<B> };
        let shape = LinearShape { inputs: whole_blocks, ..layer.shape };
        // SAFETY: the caller's promise; a block is whole steps, and what lies behind the row's end is zero in `x`.
        unsafe { linear_of_bands(pool, shape, x, &weight, out) };
    });
}

#[target_feature(enable = "avx512f,avx512bw")]
fn put_in_order<const V: usize, B: Block<V>>(order: &Order<B, V>, x: &[bf16], ordered: &mut [bf16]) {
    for (index, ordered) in ordered.chunks_exact_mut(B::INPUTS).enumerate() {
        for (vector, to) in order.block(x, index).into_iter().zip(ordered.as_chunks_mut::<VECTOR>().0) {
            // SAFETY: 32 bf16 are a register.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) };
        }
    }
}

/// The weight of a layer, decoded where it is read.
struct Decoded<'a, B, const V: usize> {
    layer: &'a Layer<'a>,
    groups: Vec<BlockGroups>,
    _block: std::marker::PhantomData<B>,
}

impl<const V: usize, B: Block<V>> Bands for Decoded<'_, B, V> {
    fn read(&self, row: usize, step: usize, bands: &mut [Band]) {
        // SAFETY: a weight is made on processors with AMX, which have AVX-512 with bf16.
        unsafe { self.decode(row, step / V, bands) };
    }

    fn place(&self, row: usize, step: usize) -> Rows {
        let start = self.layer.row(row).as_ptr().wrapping_add(step * (BYTES / V));
        Rows { start, stride: self.layer.row_bytes(), step: BYTES / V }
    }
}

impl<const V: usize, B: Block<V>> Decoded<'_, B, V> {
    /// Decodes the codes of 32 outputs from a block on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn decode(&self, first_output: usize, first_block: usize, bands: &mut [Band]) {
        let groups = self.groups.get(first_block..).unwrap_or_default();
        let count = self.layer.groups();
        for row in 0..BAND {
            let output = first_output + row;
            let codes = self.layer.row(output);
            for (index, (groups, bands)) in groups.iter().zip(bands.as_chunks_mut::<V>().0).enumerate() {
                // SAFETY: a row has a block of codes for each of groups, and a scale and an offset for each group.
                let weights = unsafe {
                    let offsets = match self.layer.weight.offsets {
                        Some(offsets) => {
                            let offsets = groups.expand(Scales::F32(offsets), output * count);
                            _mm512_mul_ps(offsets, _mm512_set1_ps(1.0 / B::X_FACTOR))
                        }
                        None => _mm512_setzero_ps(),
                    };
                    let scales = groups.expand(self.layer.weight.scales, output * count);
                    B::weights(bytes::load(codes, first_block + index), scales, offsets)
                };
                for (band, weights) in bands.iter_mut().zip(weights) {
                    let to: &mut [bf16; STEP] = &mut band.0[row];
                    // SAFETY: 32 bf16 are a register.
                    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), as_bits(weights)) };
                }
            }
        }
    }
}
