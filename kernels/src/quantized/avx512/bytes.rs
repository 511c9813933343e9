//! What 64 bytes of codes become in registers.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_and_si512, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtepu16_epi32,
    _mm512_loadu_si512, _mm512_maskz_loadu_epi8, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_slli_epi32,
    _mm512_srli_epi16, _mm512_xor_si512,
};

/// Codes of a byte each.
#[derive(Clone, Copy)]
pub(in super::super) struct Int8;

/// Codes of four bits, two in a byte.
#[derive(Clone, Copy)]
pub(in super::super) struct Int4;

/// Bytes of a block of codes.
pub(in super::super) const BYTES: usize = 64;

/// Words of 32 bits of a block, and lanes of a register.
pub(in super::super) const LANES: usize = 16;

/// An encoding whose blocks are `V` vectors of unsigned bytes, one byte for each code.
pub(in super::super) trait Bytes<const V: usize>: Copy + Send + Sync {
    /// Elements of a block.
    const INPUTS: usize = V * BYTES;

    /// Neighbouring elements that a lane has.
    const SPAN: usize = Self::INPUTS / LANES;

    /// What is added to a code, so that there is no sign.
    const BIAS: u8;

    /// The codes of a block, with the bias.
    ///
    /// # Safety
    /// The processor has AVX-512 F and BW.
    unsafe fn bytes(block: __m512i) -> [__m512i; V];

    /// The first 16 `V` elements of a register of bf16, in the order of [`bytes`](Self::bytes): 16 for each vector.
    ///
    /// # Safety
    /// As above.
    unsafe fn widened(x: __m512i) -> [__m512; V];
}

impl Bytes<1> for Int8 {
    const BIAS: u8 = 128;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn bytes(block: __m512i) -> [__m512i; 1] {
        // In two's complement, adding 128 turns the highest bit round.
        [_mm512_xor_si512(block, _mm512_set1_epi8(i8::MIN))]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn widened(x: __m512i) -> [__m512; 1] {
        let words = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(x));
        [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))]
    }
}

impl Bytes<2> for Int4 {
    const BIAS: u8 = 8;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn bytes(block: __m512i) -> [__m512i; 2] {
        let low = _mm512_set1_epi8(15);
        [_mm512_and_si512(block, low), _mm512_and_si512(_mm512_srli_epi16::<4>(block), low)]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn widened(x: __m512i) -> [__m512; 2] {
        let odd = _mm512_and_si512(x, _mm512_set1_epi32(0xffff_0000_u32 as i32));
        [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(x)), _mm512_castsi512_ps(odd)]
    }
}

/// Block `index` of a row of codes, zeros behind its end.
///
/// # Safety
/// `index` is less than the number of blocks, the last of which may have some of its bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(in super::super) unsafe fn load(row: &[u8], index: usize) -> __m512i {
    let left = row.len() - index * BYTES;
    // SAFETY: the block begins within the row.
    let at = unsafe { row.as_ptr().add(index * BYTES) };
    if left >= BYTES {
        // SAFETY: all of it lies within the row.
        unsafe { _mm512_loadu_si512(at.cast()) }
    } else {
        // SAFETY: the mask has a bit for each byte that is left; what is masked is not read.
        unsafe { _mm512_maskz_loadu_epi8((1 << left) - 1, at.cast()) }
    }
}
