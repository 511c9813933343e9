//! What 64 bytes of codes become in registers of bf16.
//!
//! Each of the 16 words of a register holds the codes of neighbouring elements, and what is decoded from a word stays in its
//! lane: a lane has elements of one group, so that one vector of scales serves all that is decoded from a block. The
//! order in which elements come out is the one that costs least, and `x` is brought into the same order.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_castps_si512, _mm512_cvtepi32_ps, _mm512_cvtne2ps_pbh, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutexvar_epi16, _mm512_permutexvar_ps,
    _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_srli_epi32,
};

use crate::quantized::avx512::bytes::{BYTES, Int4, Int8, LANES};

/// bf16 of a register.
pub(super) const VECTOR: usize = 32;

/// An encoding whose blocks are `V` vectors of weights.
pub(super) trait Block<const V: usize>: Copy + Send + Sync {
    /// Elements of a block.
    const INPUTS: usize = V * VECTOR;

    /// Neighbouring elements that a lane has.
    const SPAN: usize = Self::INPUTS / LANES;

    /// The factor that makes `x` what decoded weights are multiplied with.
    const X_FACTOR: f32;

    /// Which element of a lane [`codes`](Self::codes) puts in a half of that lane of a vector.
    fn element(vector: usize, half: usize) -> usize;

    /// The codes of a block in bf16, which are exact, divided by [`X_FACTOR`](Self::X_FACTOR).
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and BF16.
    unsafe fn codes(block: __m512i) -> [__m512bh; V];

    /// Weights in bf16: each code, divided by [`X_FACTOR`](Self::X_FACTOR), times the scale of its lane, plus its offset.
    /// Of each pair of neighbours in a lane, one is in the lower half of a vector and the other in the upper.
    ///
    /// # Safety
    /// As above.
    unsafe fn weights(block: __m512i, scales: __m512, offsets: __m512) -> [__m512bh; V];
}

/// Two's complement in the highest byte of a word is the code times this, with no need to extend its sign.
const HIGH_BYTE: f32 = (1 << 24) as f32;

/// For each byte of a word, shuffles that bring it up and clear the others.
const BYTE_UP: [[u8; BYTES]; 4] = {
    let mut places = [[0x80; BYTES]; 4];
    let mut byte = 0;
    while byte < 4 {
        let mut lane = 0;
        while lane < LANES {
            // A shuffle counts within 16 bytes.
            places[byte][4 * lane + 3] = (4 * (lane % 4) + byte) as u8;
            lane += 1;
        }
        byte += 1;
    }
    places
};

impl Int8 {
    /// The codes of one byte of each lane, times [`HIGH_BYTE`]: exact, as all of eight bits are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn of_byte(block: __m512i, byte: usize) -> __m512 {
        // SAFETY: 64 bytes are a register.
        let up = unsafe { _mm512_loadu_si512(BYTE_UP[byte].as_ptr().cast()) };
        _mm512_cvtepi32_ps(_mm512_shuffle_epi8(block, up))
    }
}

impl Block<2> for Int8 {
    const X_FACTOR: f32 = 1.0 / HIGH_BYTE;

    fn element(vector: usize, half: usize) -> usize {
        2 * vector + half
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn codes(block: __m512i) -> [__m512bh; 2] {
        let mut vectors = [zero(); 2];
        for (index, vector) in vectors.iter_mut().enumerate() {
            let (even, odd) = (Self::of_byte(block, 2 * index), Self::of_byte(block, 2 * index + 1));
            // Codes have no more bits than a bf16, the upper half of an f32.
            let even = _mm512_srli_epi32::<16>(_mm512_castps_si512(even));
            *vector = as_bf16(_mm512_or_si512(even, _mm512_castps_si512(odd)));
        }
        vectors
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn weights(block: __m512i, scales: __m512, offsets: __m512) -> [__m512bh; 2] {
        let mut vectors = [zero(); 2];
        for (index, vector) in vectors.iter_mut().enumerate() {
            let even = _mm512_fmadd_ps(Self::of_byte(block, 2 * index), scales, offsets);
            let odd = _mm512_fmadd_ps(Self::of_byte(block, 2 * index + 1), scales, offsets);
            *vector = _mm512_cvtne2ps_pbh(odd, even);
        }
        vectors
    }
}

/// What four bits mean, as bf16. A permutation of 32 looks at a fifth bit, which makes no difference.
const NIBBLES: [u16; VECTOR] = {
    let mut table = [0; VECTOR];
    let mut index = 0;
    while index < VECTOR {
        table[index] = (NIBBLES_F32[index % 16].to_bits() >> 16) as u16;
        index += 1;
    }
    table
};

/// What four bits mean.
const NIBBLES_F32: [f32; LANES] =
    [-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];

impl Block<4> for Int4 {
    const X_FACTOR: f32 = 1.0;

    fn element(vector: usize, half: usize) -> usize {
        4 * half + vector
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn codes(block: __m512i) -> [__m512bh; 4] {
        // SAFETY: 32 bf16 are a register.
        let table = unsafe { _mm512_loadu_si512(NIBBLES.as_ptr().cast()) };
        [
            as_bf16(_mm512_permutexvar_epi16(block, table)),
            as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16::<4>(block), table)),
            as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16::<8>(block), table)),
            as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16::<12>(block), table)),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn weights(block: __m512i, scales: __m512, offsets: __m512) -> [__m512bh; 4] {
        // SAFETY: 16 f32 are a register.
        let table = unsafe { _mm512_loadu_ps(NIBBLES_F32.as_ptr()) };
        // The permutation looks at the lowest four bits of a lane.
        let mut rest = block;
        let mut vectors = [zero(); 4];
        for vector in &mut vectors {
            let even = _mm512_fmadd_ps(_mm512_permutexvar_ps(rest, table), scales, offsets);
            rest = _mm512_srli_epi32::<4>(rest);
            let odd = _mm512_fmadd_ps(_mm512_permutexvar_ps(rest, table), scales, offsets);
            rest = _mm512_srli_epi32::<4>(rest);
            *vector = _mm512_cvtne2ps_pbh(odd, even);
        }
        vectors
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> __m512bh {
    as_bf16(std::arch::x86_64::_mm512_setzero_si512())
}

/// A register as bf16.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn as_bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
}

/// A register of bf16 as bits.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn as_bits(vector: __m512bh) -> __m512i {
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(vector) }
}
