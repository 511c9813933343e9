//! Rows that are read once, from one end to the other, while all that they are multiplied by stays in the second-level cache.

use std::arch::asm;

use super::Sums;

/// Bytes of a row of a tile: what a step reads of each row.
const STEP_BYTES: usize = 64;

/// How many steps ahead rows are asked for: the latency of memory at the speed of one core.
const AHEAD: usize = 16;

/// Tiles of sums that there are registers for.
pub(crate) const MAX_SIDE: usize = 4;

/// What the elements of two tiles are.
pub(crate) trait Product {
    /// What their products are added up in.
    type Sum;

    /// Whether they are bytes with a sign, four to a word, and not bf16.
    const OF_BYTES: bool;
}

/// Products of bf16, added up in f32 (`TDPBF16PS`).
pub(crate) struct OfBf16;

impl Product for OfBf16 {
    type Sum = f32;
    const OF_BYTES: bool = false;
}

/// Products of bytes with a sign, added up as whole numbers (`TDPBSSD`).
pub(crate) struct OfBytes;

impl Product for OfBytes {
    type Sum = i32;
    const OF_BYTES: bool = true;
}

/// 16 rows, one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    /// Where the first begins.
    pub(crate) start: *const u8,
    /// Bytes of each, whole steps.
    pub(crate) row_bytes: usize,
    /// Bytes from here to the strip that is read next.
    pub(crate) to_next: usize,
}

/// The products of a strip with `SIDE` tiles for each of its steps, of which all of the first step's come first; asks for
/// the beginning of the next strip.
///
/// # Safety
/// This thread has [`Registers`](super::Registers) and may read the rows, of which there are some bytes, and `SIDE` tiles for
/// each step at `turned`.
#[inline]
pub(crate) unsafe fn stream<P: Product, const SIDE: usize>(
    strip: Strip,
    turned: *const u8,
    sums: &mut [Sums<P::Sum>; SIDE],
) {
    const { assert!(SIDE >= 1 && SIDE <= MAX_SIDE) };
    let Strip { start, row_bytes, to_next } = strip;
    let steps = row_bytes / STEP_BYTES;
    let beyond = AHEAD.min(steps);
    // In the last steps, what lies ahead is in the next strip.
    let within = beyond * STEP_BYTES;
    let to_next = to_next.wrapping_sub(row_bytes);
    let (first, then) = if steps > beyond { (steps - beyond, beyond) } else { (steps, 0) };
    let ahead = if steps > beyond { within } else { within.wrapping_add(to_next) };
    macro_rules! with {
        ($product:literal) => {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "lea {line}, [{rows} + {ahead}]",
                ".rept 16",
                "prefetcht0 [{line}]",
                "add {line}, {stride}",
                ".endr",
                "mov {line:e}, 64",
                "tileloadd tmm4, [{rows} + {stride}]",
                "tileloadd tmm5, [{turned} + {line}]",
                concat!($product, " tmm0, tmm4, tmm5"),
                ".if {side} > 1",
                "tileloadd tmm6, [{turned} + {line} + 1024]",
                concat!($product, " tmm1, tmm4, tmm6"),
                ".endif",
                ".if {side} > 2",
                "tileloadd tmm7, [{turned} + {line} + 2048]",
                concat!($product, " tmm2, tmm4, tmm7"),
                ".endif",
                ".if {side} > 3",
                "tileloadd tmm5, [{turned} + {line} + 3072]",
                concat!($product, " tmm3, tmm4, tmm5"),
                ".endif",
                "add {rows}, 64",
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
                rows = inout(reg) start => _,
                turned = inout(reg) turned => _,
                ahead = inout(reg) ahead => _,
                to_next = in(reg) to_next,
                first = inout(reg) first => _,
                then = inout(reg) then => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }
    // SAFETY: reads 16 rows of 64 bytes at each step of the strip, and `SIDE` tiles that they are multiplied by; the sums
    // are `SIDE` tiles; tile registers belong to nobody else. A prefetch of any address is harmless.
    unsafe {
        match P::OF_BYTES {
            true => with!("tdpbssd"),
            false => with!("tdpbf16ps"),
        }
    }
}
