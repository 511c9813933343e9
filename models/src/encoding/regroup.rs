//! Codes and scales by groups, made of those that a file has row by row.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use super::{Arrangement, WeightPart, WeightTensor};
use crate::dtype::TensorDtype;

/// Bytes that are worth a thread of their own.
const WORTH_A_THREAD: usize = 1 << 20;

/// A rectangular part of a tensor, and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct TensorPart<'a> {
    /// A range of each dimension of the tensor.
    pub ranges: &'a [Range<usize>],
    /// Dimensions of the array that the part is at the start of; no smaller than the part's.
    pub held: &'a [usize],
}

impl WeightTensor {
    /// Makes a part of this tensor, which programs take by groups, of all that a file has of it row by row: the elements of
    /// the tensor of that name among [`WeightSpec::tensors`](crate::weights::WeightSpec::tensors). Elements of `out` that the
    /// part does not fill stay what they are. `None`, with some of it filled or nothing, if the sizes do not go together, or
    /// the tensor is not by groups.
    pub fn regroup(&self, rows: &[u8], part: TensorPart<'_>, out: &mut [u8]) -> Option<()> {
        let cut = Cut::of(self, rows, part)?;
        let plane = cut.held_outputs.checked_mul(cut.held_bytes)?;
        let groups = part.ranges.first()?.clone();
        let out = out.get_mut(..plane.checked_mul(groups.len())?)?;
        if out.is_empty() {
            return Some(());
        }
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = groups.len().div_ceil(threads.min(out.len() / WORTH_A_THREAD).max(1));
        let planes = |first: usize, out: &mut [u8]| {
            let mut planes = (first..).zip(out.chunks_mut(plane));
            planes.try_for_each(|(group, out)| cut.write(group, out))
        };
        thread::scope(|scope| {
            let shares = (groups.step_by(share)).zip(out.chunks_mut(plane * share));
            let mut shares = shares.collect::<Vec<_>>().into_iter();
            let first = shares.next();
            let others: Vec<_> = shares.map(|(first, out)| scope.spawn(move || planes(first, out))).collect();
            let first = first.map_or(Some(()), |(first, out)| planes(first, out));
            // A panic, which there should be none of, goes on as one.
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            others.into_iter().map(join).fold(first, Option::and)
        })
    }
}

/// How the elements of a group are found in rows.
#[derive(Clone, Copy)]
struct Cut<'a> {
    rows: &'a [u8],
    /// Bytes of a row.
    row_bytes: usize,
    outputs: (usize, usize),
    /// Elements of a row that a group has: codes, or a scale.
    group: usize,
    /// Of these, the range that is wanted.
    within: (usize, usize),
    elements: Elements,
    held_outputs: usize,
    /// Bytes that an output of a group takes in the result.
    held_bytes: usize,
}

/// What is stored.
#[derive(Clone, Copy)]
enum Elements {
    /// Elements of so many bytes.
    Whole(usize),
    /// Two codes of 4 bits in a byte.
    Nibbles,
}

impl<'a> Cut<'a> {
    fn of(tensor: &WeightTensor, rows: &'a [u8], part: TensorPart<'_>) -> Option<Self> {
        let &[outputs, inputs] = tensor.weight.dims.as_slice() else { return None };
        let groups = *tensor.dims.first()?;
        let dtype = tensor.dtype.filter(|_| tensor.arrangement == Arrangement::Groups)?;
        let group = match tensor.part {
            WeightPart::Codes => inputs.checked_div(groups)?,
            WeightPart::Values | WeightPart::Scales | WeightPart::Offsets => 1,
        };
        let (elements, row_bytes) = match dtype {
            TensorDtype::I4 => (Elements::Nibbles, inputs.div_ceil(2)),
            other => (Elements::Whole(other.size()), group.checked_mul(groups)?.checked_mul(other.size())?),
        };
        let (of_groups, of_outputs, within, held_outputs, held) = match (part.ranges, part.held) {
            ([groups, outputs], &[_, held]) => (groups, outputs, 0..1, held, 1),
            ([groups, outputs, within], &[_, held_outputs, held]) => {
                (groups, outputs, within.clone(), held_outputs, held)
            }
            _ => return None,
        };
        let fits = rows.len() == row_bytes.checked_mul(outputs)?
            && of_groups.end <= groups
            && of_outputs.end <= outputs
            && of_outputs.len() <= held_outputs
            && within.end <= group
            && within.len() <= held;
        fits.then_some(Self {
            rows,
            row_bytes,
            outputs: (of_outputs.start, of_outputs.end),
            group,
            within: (within.start, within.end),
            elements,
            held_outputs,
            held_bytes: held.checked_mul(dtype.size())?,
        })
    }

    /// Writes what a group has of each output.
    fn write(&self, group: usize, out: &mut [u8]) -> Option<()> {
        let (start, end) = (group * self.group + self.within.0, group * self.group + self.within.1);
        let (first, last) = self.outputs;
        let rows = self.rows.get(first * self.row_bytes..last * self.row_bytes)?;
        for (row, out) in rows.chunks_exact(self.row_bytes).zip(out.chunks_exact_mut(self.held_bytes)) {
            match self.elements {
                Elements::Whole(size) => {
                    let stored = row.get(start * size..end * size)?;
                    out.get_mut(..stored.len())?.copy_from_slice(stored);
                }
                Elements::Nibbles => {
                    let out = out.get_mut(..end - start)?;
                    // Part of a group may begin, and end, in the middle of a byte.
                    let (odd, out) = out.split_at_mut_checked((start % 2).min(out.len()))?;
                    if let Some(code) = odd.first_mut() {
                        *code = upper(*row.get(start / 2)?);
                    }
                    unpack(row.get(start.div_ceil(2)..end.div_ceil(2))?, out);
                }
            }
        }
        Some(())
    }
}

/// The codes of bytes, of which the last may be wanted by half.
fn unpack(bytes: &[u8], codes: &mut [u8]) {
    let (pairs, last) = codes.as_chunks_mut();
    for ([first, second], byte) in pairs.iter_mut().zip(bytes) {
        (*first, *second) = (lower(*byte), upper(*byte));
    }
    if let (Some(code), Some(byte)) = (last.first_mut(), bytes.last()) {
        *code = lower(*byte);
    }
}

/// The first code of a byte, as a byte with a sign; stored is 8 more.
const fn lower(byte: u8) -> u8 {
    (byte & 15).wrapping_sub(8)
}

/// The second.
const fn upper(byte: u8) -> u8 {
    (byte >> 4).wrapping_sub(8)
}
