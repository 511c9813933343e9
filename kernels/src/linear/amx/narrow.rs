//! Some rows: reading the weight is most of the work.
//!
//! All of `x` stays in the second-level cache, and the weight is read once, 16 rows side by side from one end to the
//! other: the tiles of their sums never leave the registers.

use std::arch::asm;

use half::bf16;

use super::turned::Turned;
use super::{BAND, Element, Out};
use crate::Pool;
use crate::tiles::{Pairs, Registers, STEP, Sums, TILE};

/// Rows of `x` up to which this is the way: as many tiles as there are registers for sums.
pub(super) const MAX_ROWS: usize = 4 * TILE;

/// Bytes of weight that a thread takes at a time.
const PART_BYTES: usize = 1 << 20;

/// How many steps ahead the weight is asked for: the latency of memory at the speed of one core.
const AHEAD: usize = 16;

/// Steps in a block of the turned `x`, which is for turning it in parallel: with one band, the order is the same for any.
const DEPTH: usize = 16;

/// Computes a layer of up to [`MAX_ROWS`] rows.
///
/// # Safety
/// As [`super::linear`].
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    inputs: usize,
    x: &[bf16],
    weight: &[bf16],
    out: &Out<O>,
) {
    let side = out.rows.div_ceil(TILE);
    let bands = out.outputs / BAND;
    let band_bytes = BAND * inputs * size_of::<bf16>();
    let bands_a_part = (PART_BYTES / band_bytes).clamp(1, bands.div_ceil(pool.threads()));
    let parts = bands.div_ceil(bands_a_part);
    // SAFETY: the caller's promise, passed on.
    unsafe {
        Turned::with(pool, x, inputs, (side, DEPTH), |turned| {
            let layer = Layer { inputs, turned: turned.tiles(), weight, out };
            pool.run(parts, &|part| {
                let first = part * bands_a_part * BAND;
                // What is left after whole bands is the last part's.
                let end = if part + 1 == parts { out.outputs } else { first + bands_a_part * BAND };
                match side {
                    1 => layer.part::<1>(first, end),
                    2 => layer.part::<2>(first, end),
                    3 => layer.part::<3>(first, end),
                    _ => layer.part::<4>(first, end),
                }
            });
        });
    }
}

struct Layer<'a, O> {
    inputs: usize,
    /// One band: step by step, as many tiles as `x` has groups of rows.
    turned: &'a [Pairs],
    weight: &'a [bf16],
    out: &'a Out<O>,
}

impl<O: Element> Layer<'_, O> {
    /// Computes the outputs from `first` to `end`, at least [`BAND`] of them.
    ///
    /// # Safety
    /// As [`super::linear`]; `x` has `SIDE` groups of rows.
    unsafe fn part<const SIDE: usize>(&self, first: usize, end: usize) {
        // SAFETY: the processor has tiles, and this thread no others.
        let registers = unsafe { Registers::configure() };
        let mut column = first;
        loop {
            // The last band is moved back to be whole; what it shares with the one before it is computed twice.
            column = column.min(end - BAND);
            let mut sums = [[Sums::ZERO; SIDE]; 2];
            for (half, sums) in sums.iter_mut().enumerate() {
                let row = column + half * TILE;
                let next = (row + TILE).min(end - TILE);
                // SAFETY: both groups of 16 rows are the weight's.
                unsafe { self.multiply(row, next, sums) };
            }
            let [upper, lower] = &sums;
            for (group, sums) in upper.iter().zip(lower).enumerate() {
                let row = group * TILE;
                let rows = TILE.min(self.out.rows - row);
                // SAFETY: the rows are the result's, and the 32 columns this thread's.
                unsafe {
                    let out = self.out.start.get().add(row * self.out.outputs + column);
                    O::round_tiles([sums.0, sums.1], rows, out, self.out.outputs);
                }
            }
            column += BAND;
            if column >= end {
                break;
            }
        }
        drop(registers);
    }

    /// The products of 16 rows of the weight from `row` on with all of `x`; asks for the beginning of those at `next`.
    ///
    /// # Safety
    /// As [`part`](Self::part); the rows exist; tiles are configured.
    #[inline]
    unsafe fn multiply<const SIDE: usize>(&self, row: usize, next: usize, sums: &mut [Sums; SIDE]) {
        let row_bytes = self.inputs * size_of::<bf16>();
        let steps = self.inputs / STEP;
        let beyond = AHEAD.min(steps);
        // SAFETY: the row exists.
        let weight = unsafe { self.weight.as_ptr().byte_add(row * row_bytes) };
        // In the last steps, what lies ahead is in the next rows.
        let within = beyond * 64;
        let to_next = ((next - row) * row_bytes).wrapping_sub(row_bytes);
        let (first, then) = if steps > beyond { (steps - beyond, beyond) } else { (steps, 0) };
        let ahead = if steps > beyond { within } else { within.wrapping_add(to_next) };
        // SAFETY: reads 16 rows of 64 bytes at each step of the weight, and `SIDE` tiles of `x`, which has as many steps;
        // the sums are `SIDE` tiles; tile registers belong to nobody else. A prefetch of any address is harmless.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "lea {line}, [{weight} + {ahead}]",
                ".rept 16",
                "prefetcht0 [{line}]",
                "add {line}, {stride}",
                ".endr",
                "mov {line:e}, 64",
                "tileloadd tmm4, [{weight} + {stride}]",
                "tileloadd tmm5, [{turned} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm5",
                ".if {side} > 1",
                "tileloadd tmm6, [{turned} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm6",
                ".endif",
                ".if {side} > 2",
                "tileloadd tmm7, [{turned} + {line} + 2048]",
                "tdpbf16ps tmm2, tmm4, tmm7",
                ".endif",
                ".if {side} > 3",
                "tileloadd tmm5, [{turned} + {line} + 3072]",
                "tdpbf16ps tmm3, tmm4, tmm5",
                ".endif",
                "add {weight}, 64",
                "add {turned}, {side} * 1024",
                "dec {first}",
                "jnz 2b",
                "add {ahead}, {to_next}",
                "mov {first}, {then}",
                "xor {then:e}, {then:e}",
                "test {first}, {first}",
                "jnz 2b",
                "tilestored [{sums} + {line}], tmm0",
                ".if {side} > 1",
                "tilestored [{sums} + {line} + 1024], tmm1",
                ".endif",
                ".if {side} > 2",
                "tilestored [{sums} + {line} + 2048], tmm2",
                ".endif",
                ".if {side} > 3",
                "tilestored [{sums} + {line} + 3072], tmm3",
                ".endif",
                side = const SIDE,
                sums = in(reg) sums.as_mut_ptr(),
                stride = in(reg) row_bytes,
                line = out(reg) _,
                weight = inout(reg) weight => _,
                turned = inout(reg) self.turned.as_ptr() => _,
                ahead = inout(reg) ahead => _,
                to_next = in(reg) to_next,
                first = inout(reg) first => _,
                then = inout(reg) then => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
