//! ggml's four-bit types whose codes stand for unevenly spaced values. The values fit eight bits, so these become
//! codes of eight bits; looking the values up while multiplying would keep them at four.

use bytemuck::AnyBitPattern;

use super::{Block, CodeWidth, half, nibbles, put_f32};
use crate::dtype::StoredDtype;

/// What the codes stand for (`kvalues_iq4nl`).
const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn put_values(halves: &[u8], out: &mut [u8]) {
    for (out, code) in out.iter_mut().zip(nibbles::elements(halves)) {
        *out = VALUES.get(usize::from(code)).map_or(0, |value| value.cast_unsigned());
    }
}

/// `scale * VALUES[code]`, blocks of 32.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Iq4Nl {
    scale: [u8; 2],
    halves: [u8; 16],
}

impl Block for Iq4Nl {
    const NAME: &str = "IQ4_NL";
    const ELEMENTS: usize = 32;
    const GROUP: usize = 32;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F16;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        put_values(&self.halves, out);
    }

    fn scales(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.scale);
    }

    fn offsets(&self, _: &mut [u8]) {}
}

/// `d * (scale - 32) * VALUES[code]`, blocks of 256 in groups of 32.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub(super) struct Iq4Xs {
    d: [u8; 2],
    /// High two bits of eight scales.
    high_scales: [u8; 2],
    /// Low four bits, two a byte.
    low_scales: [u8; 4],
    halves: [u8; 128],
}

impl Block for Iq4Xs {
    const NAME: &str = "IQ4_XS";
    const ELEMENTS: usize = 256;
    const GROUP: usize = 32;
    const CODES: CodeWidth = CodeWidth::Eight;
    const SCALES: StoredDtype = StoredDtype::F32;
    const HAS_OFFSETS: bool = false;

    fn codes(&self, out: &mut [u8]) {
        for (halves, out) in self.halves.chunks_exact(16).zip(out.chunks_exact_mut(32)) {
            put_values(halves, out);
        }
    }

    fn scales(&self, out: &mut [u8]) {
        let high_scales = u16::from_le_bytes(self.high_scales);
        let low = self.low_scales.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
        let scales =
            low.zip(0..).map(|(low, at)| f32::from(low) + f32::from(high_scales >> (2 * at) & 3) * 16.0);
        put_f32(out, scales.map(|scale| half(self.d) * (scale - 32.0)));
    }

    fn offsets(&self, _: &mut [u8]) {}
}
