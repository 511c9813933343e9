//! ggml's blocks of quantized weights, and what they become: codes, scales and offsets, each an array of its own.
//!
//! A block is a run of neighbouring elements of one row, with its scales beside its codes. A type here is a block's
//! layout in the file; its methods move the bits without rounding any of them, so that
//! `scale * code (+ offset)` is the weight that ggml decodes. (f32 scales are products of a half and a small integer,
//! which f32 holds exactly; an offset that is a difference of two such products is rounded once.)
//!
//! Layouts are those of `block_*` in ggml's `ggml-common.h`.

mod iq4;
mod k;
mod nibbles;
mod plain;

use bytemuck::AnyBitPattern;

use crate::dtype::StoredDtype;

/// Bits of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeWidth {
    /// One byte each, two's complement.
    Eight,
    /// Two a byte, the first in the low half, each stored as `code + 8`.
    Four,
}

impl CodeWidth {
    /// Bytes that the codes of `elements` take.
    pub(super) const fn bytes(self, elements: usize) -> usize {
        match self {
            Self::Eight => elements,
            Self::Four => elements / 2,
        }
    }
}

/// Layout of one block.
trait Block: AnyBitPattern {
    /// ggml's name of the type.
    const NAME: &str;
    /// Elements of a block.
    const ELEMENTS: usize;
    /// Neighbouring elements that have a scale in common.
    const GROUP: usize;
    const CODES: CodeWidth;
    const SCALES: StoredDtype;
    const HAS_OFFSETS: bool;

    /// Writes the block's codes, which take `CODES.bytes(ELEMENTS)` bytes.
    fn codes(&self, out: &mut [u8]);
    /// Writes its `ELEMENTS / GROUP` scales.
    fn scales(&self, out: &mut [u8]);
    /// Writes as many offsets, in f32.
    fn offsets(&self, out: &mut [u8]);
}

/// What there is to know of a type of block.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) name: &'static str,
    pub(super) elements: usize,
    pub(super) bytes: usize,
    pub(super) group: usize,
    pub(super) codes: CodeWidth,
    pub(super) scales: StoredDtype,
    pub(super) has_offsets: bool,
    pub(super) write_codes: Writer,
    pub(super) write_scales: Writer,
    pub(super) write_offsets: Writer,
}

/// Takes whole blocks, and room for just what they yield.
pub(super) type Writer = fn(&[u8], &mut [u8]);

impl Format {
    const fn of<B: Block>() -> Self {
        Self {
            name: B::NAME,
            elements: B::ELEMENTS,
            bytes: size_of::<B>(),
            group: B::GROUP,
            codes: B::CODES,
            scales: B::SCALES,
            has_offsets: B::HAS_OFFSETS,
            write_codes: |blocks, out| each::<B>(blocks, out, B::CODES.bytes(B::ELEMENTS), B::codes),
            write_scales: |blocks, out| {
                each::<B>(blocks, out, B::ELEMENTS / B::GROUP * B::SCALES.size(), B::scales);
            },
            write_offsets: |blocks, out| {
                each::<B>(blocks, out, B::ELEMENTS / B::GROUP * size_of::<f32>(), B::offsets);
            },
        }
    }
}

/// Lets `write` fill `size` bytes of `out` for each block.
fn each<B: Block>(blocks: &[u8], out: &mut [u8], size: usize, write: impl Fn(&B, &mut [u8])) {
    // Blocks are made of bytes, so no alignment can be wrong; a part of a block at the end would yield nothing.
    let blocks: &[B] = bytemuck::try_cast_slice(blocks).unwrap_or_default();
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(size)) {
        write(block, out);
    }
}

pub(super) static Q4_0: Format = Format::of::<plain::Q4_0>();
pub(super) static Q4_1: Format = Format::of::<plain::Q4_1>();
pub(super) static Q5_0: Format = Format::of::<plain::Q5_0>();
pub(super) static Q5_1: Format = Format::of::<plain::Q5_1>();
pub(super) static Q8_0: Format = Format::of::<plain::Q8_0>();
pub(super) static Q2_K: Format = Format::of::<k::Q2K>();
pub(super) static Q3_K: Format = Format::of::<k::Q3K>();
pub(super) static Q4_K: Format = Format::of::<k::Q4K>();
pub(super) static Q5_K: Format = Format::of::<k::Q5K>();
pub(super) static Q6_K: Format = Format::of::<k::Q6K>();
pub(super) static IQ4_NL: Format = Format::of::<iq4::Iq4Nl>();
pub(super) static IQ4_XS: Format = Format::of::<iq4::Iq4Xs>();

/// A half as a block stores it.
fn half(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32()
}

fn put_f32(out: &mut [u8], values: impl IntoIterator<Item = f32>) {
    for (out, value) in out.as_chunks_mut().0.iter_mut().zip(values) {
        *out = value.to_le_bytes();
    }
}
