//! Blocks of 32 elements with one scale, and perhaps one offset, in f16.

use bytemuck::AnyBitPattern;

use super::{Block, CodeWidth, half, nibbles, put_f32};
use crate::dtype::StoredDtype;

const ELEMENTS: usize = 32;

/// `scale * (nibble - 8)`.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q4_0 {
    scale: [u8; 2],
    halves: [u8; 16],
}

impl Block for Q4_0 {
    const NAME: &str = "Q4_0";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = ELEMENTS;
    const CODES: CodeWidth = CodeWidth::Four;
    const SCALES: StoredDtype = StoredDtype::F16;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        nibbles::interleave(&self.halves, out);
    }

    fn scales(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.scale);
    }

    fn offsets(&self, _: &mut [u8]) {}
}

/// `scale * nibble + least`.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q4_1 {
    scale: [u8; 2],
    least: [u8; 2],
    halves: [u8; 16],
}

impl Block for Q4_1 {
    const NAME: &str = "Q4_1";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = ELEMENTS;
    const CODES: CodeWidth = CodeWidth::Four;
    const SCALES: StoredDtype = StoredDtype::F16;
    const HAS_OFFSETS: bool = true;

    fn codes(&self, out: &mut [u8]) {
        nibbles::interleave(&self.halves, out);
    }

    fn scales(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.scale);
    }

    fn offsets(&self, out: &mut [u8]) {
        put_f32(out, [half(self.least) + nibbles::BIAS as f32 * half(self.scale)]);
    }
}

/// `scale * (nibble + 16 * fifth - 16)`.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q5_0 {
    scale: [u8; 2],
    fifth_bits: [u8; 4],
    halves: [u8; 16],
}

impl Block for Q5_0 {
    const NAME: &str = "Q5_0";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = ELEMENTS;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F16;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        for (out, code) in out.iter_mut().zip(five_bits(&self.halves, self.fifth_bits)) {
            *out = code.wrapping_sub(16);
        }
    }

    fn scales(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.scale);
    }

    fn offsets(&self, _: &mut [u8]) {}
}

/// `scale * (nibble + 16 * fifth) + least`.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q5_1 {
    scale: [u8; 2],
    least: [u8; 2],
    fifth_bits: [u8; 4],
    halves: [u8; 16],
}

impl Block for Q5_1 {
    const NAME: &str = "Q5_1";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = ELEMENTS;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F16;
    const HAS_OFFSETS: bool = true;

    fn codes(&self, out: &mut [u8]) {
        for (out, code) in out.iter_mut().zip(five_bits(&self.halves, self.fifth_bits)) {
            *out = code;
        }
    }

    fn scales(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.scale);
    }

    fn offsets(&self, out: &mut [u8]) {
        put_f32(out, [half(self.least)]);
    }
}

/// Nibbles with bit `i` of `fifth_bits` above that of element `i`: 0 to 31.
fn five_bits(halves: &[u8], fifth_bits: [u8; 4]) -> impl Iterator<Item = u8> {
    let fifth_bits = u32::from_le_bytes(fifth_bits);
    nibbles::elements(halves)
        .zip(0..)
        .map(move |(nibble, at): (u8, u32)| nibble | (u8::from(fifth_bits >> at & 1 == 1) << 4))
}

/// `scale * code`.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q8_0 {
    scale: [u8; 2],
    codes: [u8; ELEMENTS],
}

impl Block for Q8_0 {
    const NAME: &str = "Q8_0";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = ELEMENTS;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F16;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.codes);
    }

    fn scales(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.scale);
    }

    fn offsets(&self, _: &mut [u8]) {}
}
