//! Tensors whose elements are made of a file's bytes when they are wanted.

use std::fmt;

/// Makes a tensor's elements of how a file has them. Nothing is kept: whoever wants them twice has them made twice.
pub(crate) trait Repack: fmt::Debug + Send + Sync {
    /// Makes all elements, little-endian and row-major. `stored` is what the tensor's range in the file holds, and `out`
    /// has room for exactly the elements.
    fn repack(&self, stored: &[u8], out: &mut [u8]);
}

/// Codes of 8 bits that are stored with 128 added, which is to say, with the other sign bit.
#[derive(Debug)]
pub(super) struct Unbias;

impl Repack for Unbias {
    fn repack(&self, stored: &[u8], out: &mut [u8]) {
        for (code, biased) in out.iter_mut().zip(stored) {
            *code = biased ^ 0x80;
        }
    }
}
