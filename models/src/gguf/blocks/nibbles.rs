//! Codes of four bits, two a byte.

/// What is added to a code of four bits to store it.
pub(super) const BIAS: i32 = 8;

/// ggml keeps element `i` of `2 n` in the low half of byte `i`, and element `n + i` in its high half. Writes them with
/// neighbours in one byte, the first in the low half.
pub(super) fn interleave(halves: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(out.len() / 2);
    for (([a, b], low), high) in halves.as_chunks().0.iter().zip(low).zip(high) {
        *low = (a & 0x0f) | (b << 4);
        *high = (a >> 4) | (b & 0xf0);
    }
}

/// Writes codes, given as a byte each from 0 to 15, two a byte.
pub(super) fn pack(codes: &[u8], out: &mut [u8]) {
    for ([first, second], out) in codes.as_chunks().0.iter().zip(out) {
        *out = first | (second << 4);
    }
}

/// The elements of ggml's halves in their order, a byte each from 0 to 15.
pub(super) fn elements(halves: &[u8]) -> impl Iterator<Item = u8> {
    halves.iter().map(|byte| byte & 0x0f).chain(halves.iter().map(|byte| byte >> 4))
}
