//! Values in pairs of keys.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi16, _mm512_permutex2var_epi16, _mm512_set_epi16, _mm512_set1_epi16,
    _mm512_setzero_si512, _mm512_store_si512,
};

use super::rows::TileElement;
use super::{BAND, KEYS};
use crate::tiles::{Pairs, STEP};

/// Fills `tiles` with the values of slots at these positions. Values of slots that hold nothing become zero, whatever is
/// there: a weight of zero would not make nothing of infinity.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn turn_values<E: TileElement>(
    values: &[E],
    head_dim: usize,
    positions: &[i32],
    tiles: &mut [Pairs],
) {
    // Words of the first operand are numbered from 0, of the second from 32.
    let lower = _mm512_set_epi16(
        47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34,
        2, 33, 1, 32, 0,
    );
    let upper = _mm512_add_epi16(lower, _mm512_set1_epi16(16));
    for pair in 0..positions.len().next_multiple_of(BAND) / 2 {
        let (band, line) = (2 * pair / BAND, pair % (BAND / 2));
        let even = row(values, head_dim, positions, 2 * pair);
        let odd = row(values, head_dim, positions, 2 * pair + 1);
        for (index, tiles) in tiles.chunks_exact_mut(2 * (KEYS / BAND)).enumerate() {
            let (even, odd) = (elements(even, index), elements(odd, index));
            for (tile, order) in tiles[2 * band..][..2].iter_mut().zip([lower, upper]) {
                let pairs = _mm512_permutex2var_epi16(even, order, odd);
                // SAFETY: a row of a tile is 64 bytes and aligned to them.
                unsafe { _mm512_store_si512(tile.0[line].as_mut_ptr().cast(), pairs) };
            }
        }
    }
}

/// The values of a slot; nothing for a slot that holds nothing.
fn row<'a, E>(values: &'a [E], head_dim: usize, positions: &[i32], index: usize) -> &'a [[E; STEP]] {
    let held = positions.get(index).is_some_and(|&position| position >= 0);
    let start = index * head_dim;
    values.get(start..start + head_dim).filter(|_| held).unwrap_or_default().as_chunks().0
}

/// 32 elements of a row, or zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn elements<E: TileElement>(row: &[[E; STEP]], index: usize) -> __m512i {
    match row.get(index) {
        // SAFETY: the processor has what this function is compiled for.
        Some(elements) => unsafe { E::load(elements) },
        None => _mm512_setzero_si512(),
    }
}
