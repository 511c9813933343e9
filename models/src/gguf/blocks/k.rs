//! ggml's "k-quants": blocks of 256 elements in groups, whose scales (and least values) are small integers times the
//! block's own.

use bytemuck::AnyBitPattern;

use super::{Block, CodeWidth, half, nibbles, put_f32};
use crate::dtype::StoredDtype;

const ELEMENTS: usize = 256;

/// `d * scale * code - dmin * least`, codes of two bits, groups of 16.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q2K {
    /// Scale in the low half, least value in the high.
    scales: [u8; 16],
    codes: [u8; 64],
    d: [u8; 2],
    dmin: [u8; 2],
}

impl Block for Q2K {
    const NAME: &str = "Q2_K";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = 16;
    const CODES: CodeWidth = CodeWidth::Four;
    const SCALES: StoredDtype = StoredDtype::F32;
    const HAS_OFFSETS: bool = true;

    fn codes(&self, out: &mut [u8]) {
        let stored = two_bits(&self.codes).map(|code| code + nibbles::BIAS as u8);
        nibbles::pack(&stored, out);
    }

    fn scales(&self, out: &mut [u8]) {
        put_f32(out, self.scales.map(|scale| half(self.d) * f32::from(scale & 0x0f)));
    }

    fn offsets(&self, out: &mut [u8]) {
        put_f32(out, self.scales.map(|scale| -half(self.dmin) * f32::from(scale >> 4)));
    }
}

/// `d * (scale - 32) * (code - 4)`, codes of three bits, groups of 16.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q3K {
    /// The codes' third bits: bit `i / 32` of byte `i % 32` is element `i`'s.
    third_bits: [u8; 32],
    codes: [u8; 64],
    /// Four low bits of 16 scales, then two high bits each.
    scales: [u8; 12],
    d: [u8; 2],
}

impl Q3K {
    /// The 16 scales, 0 to 63.
    fn small_scales(&self) -> impl Iterator<Item = u8> {
        let ([low @ .., _, _, _, _], [.., a, b, c, d]) = (&self.scales, self.scales);
        let high = (0..4).flat_map(move |quarter| [a, b, c, d].map(|byte| byte >> (2 * quarter) & 3));
        nibbles::elements(low).zip(high).map(|(low, high)| low | (high << 4))
    }
}

impl Block for Q3K {
    const NAME: &str = "Q3_K";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = 16;
    const CODES: CodeWidth = CodeWidth::Four;
    const SCALES: StoredDtype = StoredDtype::F32;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        let mut stored = two_bits(&self.codes);
        for (codes, bit) in stored.as_chunks_mut::<32>().0.iter_mut().zip(0..) {
            for (code, bits) in codes.iter_mut().zip(self.third_bits) {
                // 0 to 7 here means -4 to 3.
                *code = (*code | (bits >> bit & 1) << 2) + nibbles::BIAS as u8 - 4;
            }
        }
        nibbles::pack(&stored, out);
    }

    fn scales(&self, out: &mut [u8]) {
        put_f32(out, self.small_scales().map(|scale| half(self.d) * (f32::from(scale) - 32.0)));
    }

    fn offsets(&self, _: &mut [u8]) {}
}

/// `d * scale * nibble - dmin * least`, groups of 32.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q4K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: SmallScales,
    halves: [u8; 128],
}

impl Block for Q4K {
    const NAME: &str = "Q4_K";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = 32;
    const CODES: CodeWidth = CodeWidth::Four;
    const SCALES: StoredDtype = StoredDtype::F32;
    const HAS_OFFSETS: bool = true;

    fn codes(&self, out: &mut [u8]) {
        // 64 elements at a time have their halves in common.
        for (halves, out) in self.halves.chunks_exact(32).zip(out.chunks_exact_mut(32)) {
            nibbles::interleave(halves, out);
        }
    }

    fn scales(&self, out: &mut [u8]) {
        put_f32(out, self.scales.unpack().map(|(scale, _)| half(self.d) * scale));
    }

    fn offsets(&self, out: &mut [u8]) {
        let offset = |(scale, least)| nibbles::BIAS as f32 * half(self.d) * scale - half(self.dmin) * least;
        put_f32(out, self.scales.unpack().map(offset));
    }
}

/// `d * scale * code - dmin * least`, codes of five bits, groups of 32.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q5K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: SmallScales,
    /// Bit `i / 32` of byte `i % 32` is element `i`'s.
    fifth_bits: [u8; 32],
    halves: [u8; 128],
}

impl Block for Q5K {
    const NAME: &str = "Q5_K";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = 32;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F32;
    const HAS_OFFSETS: bool = true;

    fn codes(&self, out: &mut [u8]) {
        for (halves, out) in self.halves.chunks_exact(32).zip(out.chunks_exact_mut(64)) {
            for (out, nibble) in out.iter_mut().zip(nibbles::elements(halves)) {
                *out = nibble;
            }
        }
        for (codes, bit) in out.chunks_exact_mut(32).zip(0..) {
            for (code, bits) in codes.iter_mut().zip(self.fifth_bits) {
                *code |= (bits >> bit & 1) << 4;
            }
        }
    }

    fn scales(&self, out: &mut [u8]) {
        put_f32(out, self.scales.unpack().map(|(scale, _)| half(self.d) * scale));
    }

    fn offsets(&self, out: &mut [u8]) {
        put_f32(out, self.scales.unpack().map(|(_, least)| -half(self.dmin) * least));
    }
}

/// `d * scale * (code - 32)`, codes of six bits, groups of 16.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Q6K {
    /// Low four bits. 128 elements at a time: the first 64 in the low halves, the others in the high ones.
    halves: [u8; 128],
    /// High two bits: of 128 elements, `i`'s are bits `i / 32 * 2` and the next of byte `i % 32`.
    high_bits: [u8; 64],
    /// Signed.
    scales: [u8; 16],
    d: [u8; 2],
}

impl Block for Q6K {
    const NAME: &str = "Q6_K";
    const ELEMENTS: usize = ELEMENTS;
    const GROUP: usize = 16;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F32;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        let high = two_bits(&self.high_bits);
        let low = self.halves.chunks_exact(64).flat_map(nibbles::elements);
        for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
            *out = (low | high << 4).wrapping_sub(32);
        }
    }

    fn scales(&self, out: &mut [u8]) {
        put_f32(out, self.scales.map(|scale| half(self.d) * f32::from(scale.cast_signed())));
    }

    fn offsets(&self, _: &mut [u8]) {}
}

/// Two bits for each of 256 elements: of 128, `i`'s are bits `i / 32 * 2` and the next of byte `i % 32`.
fn two_bits(bytes: &[u8; 64]) -> [u8; ELEMENTS] {
    let mut codes = [0; ELEMENTS];
    for (codes, bytes) in codes.chunks_exact_mut(128).zip(bytes.chunks_exact(32)) {
        for (codes, quarter) in codes.chunks_exact_mut(32).zip(0..) {
            for (code, byte) in codes.iter_mut().zip(bytes) {
                *code = byte >> (2 * quarter) & 3;
            }
        }
    }
    codes
}

/// Eight scales and eight least values of six bits each.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
struct SmallScales {
    /// The first four scales; above each, the high two bits of one of the last four.
    scales: [u8; 4],
    /// The first four least values; above each, the high two bits of one of the last four.
    least: [u8; 4],
    /// Low four bits of the last four scales and, above them, of the last four least values.
    last: [u8; 4],
}

impl SmallScales {
    /// Scale and least value of each group.
    fn unpack(&self) -> impl Iterator<Item = (f32, f32)> {
        let Self { scales, least, last } = *self;
        let first = scales.into_iter().zip(least).map(|(scale, least)| (scale & 63, least & 63));
        let last =
            last.into_iter().zip(scales).zip(least).map(|((low, scale), least)| {
                ((low & 0x0f) | (scale >> 6 << 4), (low >> 4) | (least >> 6 << 4))
            });
        first.chain(last).map(|(scale, least)| (scale.into(), least.into()))
    }
}
