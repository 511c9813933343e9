//! What a tensor of blocks is to programs: codes, scales and offsets apart.

use std::thread;

use super::blocks::{Format, Writer};
use super::tensor_type::TensorType;
use crate::checkpoint::Repack;
use crate::convert;
use crate::dtype::StoredDtype;
use crate::encoding::WeightPart;

/// Bytes of blocks that are worth a thread of their own.
const WORTH_A_THREAD: usize = 1 << 20;

/// One part of a weight that is stored in blocks.
#[derive(Debug)]
pub(super) struct FromBlocks {
    pub(super) format: &'static Format,
    pub(super) part: WeightPart,
}

impl FromBlocks {
    /// What writes the part, and how many bytes it takes for each block.
    fn writer(&self) -> (Writer, usize) {
        let Self { format, part } = *self;
        let groups = format.elements / format.group;
        match part {
            WeightPart::Values | WeightPart::Codes => {
                (format.write_codes, format.codes.bytes(format.elements))
            }
            WeightPart::Scales => (format.write_scales, groups * format.scales.size()),
            WeightPart::Offsets => (format.write_offsets, groups * size_of::<f32>()),
        }
    }
}

impl Repack for FromBlocks {
    fn repack(&self, stored: &[u8], out: &mut [u8]) {
        let (write, block_out) = self.writer();
        let blocks = stored.len() / self.format.bytes;
        let threads =
            thread::available_parallelism().map_or(1, usize::from).min(stored.len() / WORTH_A_THREAD).max(1);
        let share = blocks.div_ceil(threads).max(1);
        let mut shares = stored.chunks(share * self.format.bytes).zip(out.chunks_mut(share * block_out));
        thread::scope(|scope| {
            let first = shares.next();
            for (stored, out) in shares {
                scope.spawn(move || write(stored, out));
            }
            if let Some((stored, out)) = first {
                write(stored, out);
            }
        });
    }
}

/// RMSNorm weights. Converters to GGUF store the factor `1 + w` of Gemma's RMSNorm; programs take `w`.
#[derive(Debug)]
pub(super) struct LessOne {
    pub(super) stored: StoredDtype,
}

impl Repack for LessOne {
    /// Makes elements in f32, whatever they are stored in: of a bf16 `w` near zero, `1 + w` keeps little in bf16, and
    /// it is only exact to within rounding in f32.
    fn repack(&self, stored: &[u8], out: &mut [u8]) {
        let factors = stored.chunks_exact(self.stored.size());
        for (out, factor) in out.as_chunks_mut().0.iter_mut().zip(factors) {
            let mut value = [0.0];
            convert::decode(self.stored, factor, &mut value);
            let [value] = value;
            *out = (value - 1.0_f32).to_le_bytes();
        }
    }
}

impl TensorType {
    /// The element type of numbers; `None` for blocks.
    pub(super) const fn dense(self) -> Option<StoredDtype> {
        match self {
            Self::Dense(dtype) => Some(dtype),
            Self::Blocks(_) => None,
        }
    }
}
