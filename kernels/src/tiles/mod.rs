//! Tiles of AMX: 16 rows of 64 bytes, and their products.
//!
//! A tile product takes one operand with its rows as they lie in memory and the other with pairs of elements
//! turned: `c[i][j] += Σ a[i][2p] b[p][2j] + a[i][2p+1] b[p][2j+1]`. Source: Intel 64 and IA-32 Architectures Software
//! Developer's Manual, volume 2, TDPBF16PS. Inline assembly, as Rust's AMX intrinsics are not stable.

pub(crate) mod round;
pub(crate) mod stream;

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_store_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use half::bf16;

/// Rows of a tile, and f32 or pairs of bf16 in one of its rows.
pub(crate) const TILE: usize = 16;
/// bf16 in a row of a tile: what a product consumes of each operand's row in one step.
pub(crate) const STEP: usize = 2 * TILE;

/// A tile of pairs of bf16, the lower half of a word being the first.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Pairs(pub(crate) [[u32; TILE]; TILE]);

/// A tile of sums.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Sums<T = f32>(pub(crate) [[T; TILE]; TILE]);

impl Pairs {
    pub(crate) const ZERO: Self = Self([[0; TILE]; TILE]);
}

impl Sums {
    pub(crate) const ZERO: Self = Self([[0.0; TILE]; TILE]);
}

/// The tile registers of this thread, for as long as it lives.
pub(crate) struct Registers(());

impl Registers {
    /// Makes every tile register 16 rows of 64 bytes.
    ///
    /// # Safety
    /// The processor has AMX, the process may use it, and this thread has no other `Registers`.
    pub(crate) unsafe fn configure() -> Self {
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        let mut config =
            Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        config.row_bytes[..8].fill(64);
        config.rows[..8].fill(TILE as u8);
        // SAFETY: reads the 64 bytes of a valid configuration.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        Self(())
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: ends what `configure` began.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// 32 rows of an operand as they lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    /// Where the first row begins.
    pub(crate) start: *const u8,
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
    /// Bytes from one step of 32 columns to the next.
    pub(crate) step: usize,
}

/// Adds the product of 32 rows and of the `steps` pairs of tiles from `turned` on to four tiles of sums: rows of the
/// first 16 by columns of the even tiles, the same by those of the odd ones, and both for the other 16 rows. If
/// `FRESH`, what the sums held does not count. With each step a line of each of `AHEAD` rows of `ahead` is asked for, on its
/// way into the second-level cache.
///
/// # Safety
/// This thread has [`Registers`]; 32 rows of `steps * 64` bytes at `rows`, `2 * steps` tiles at `turned` and four at
/// `sums` are within what this thread may read, and write. (What is ahead may be anywhere.)
#[inline]
pub(crate) unsafe fn multiply<const FRESH: bool, const AHEAD: usize>(
    rows: Rows,
    turned: *const Pairs,
    steps: usize,
    sums: *mut Sums,
    ahead: Rows,
) {
    debug_assert!(steps > 0);
    // SAFETY: the caller's promise; the tile registers belong to nobody else. A prefetch of any address is harmless.
    unsafe {
        asm!(
            ".if {fresh}",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            ".else",
            "tileloadd tmm0, [{sums} + {line}]",
            "tileloadd tmm1, [{sums} + {line} + 1024]",
            "tileloadd tmm2, [{sums} + {line} + 2048]",
            "tileloadd tmm3, [{sums} + {line} + 3072]",
            ".endif",
            "2:",
            "tileloadd tmm4, [{first} + {stride}]",
            "tileloadd tmm6, [{turned} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{turned} + {line} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{second} + {stride}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            ".rept {ahead_rows}",
            "prefetcht1 [{ahead}]",
            "add {ahead}, {ahead_stride}",
            ".endr",
            "add {ahead}, {ahead_back}",
            "add {first}, {step}",
            "add {second}, {step}",
            "add {turned}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 3072], tmm3",
            fresh = const FRESH as usize,
            ahead_rows = const AHEAD,
            sums = in(reg) sums,
            line = in(reg) 64usize,
            stride = in(reg) rows.stride,
            step = in(reg) rows.step,
            first = inout(reg) rows.start => _,
            second = inout(reg) rows.start.wrapping_add(TILE * rows.stride) => _,
            turned = inout(reg) turned => _,
            steps = inout(reg) steps => _,
            ahead = inout(reg) ahead.start => _,
            ahead_stride = in(reg) ahead.stride,
            ahead_back = in(reg) ahead.step.wrapping_sub(AHEAD * ahead.stride),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Fills a tile with 16 rows of 32 bf16 in pairs, columns and rows exchanged. Where there is no such row, there are
/// zeros.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn turn<'a>(tile: &mut Pairs, row: impl Fn(usize) -> Option<&'a [bf16]>) {
    let rows = std::array::from_fn(|index| match row(index).and_then(|row| row.first_chunk::<STEP>()) {
        // SAFETY: these are 64 bytes; the load needs no alignment.
        Some(row) => unsafe { _mm512_loadu_si512(row.as_ptr().cast()) },
        None => _mm512_setzero_si512(),
    });
    for (row, turned) in tile.0.iter_mut().zip(transpose(rows)) {
        // SAFETY: a row of a tile is 64 bytes and aligned to them.
        unsafe { _mm512_store_si512(row.as_mut_ptr().cast(), turned) };
    }
}

/// Sixteen rows of sixteen words, with columns and rows exchanged.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn transpose(rows: [__m512i; TILE]) -> [__m512i; TILE] {
    let mut pairs = rows;
    for i in (0..TILE).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // Each 128 bits hold one column of four rows.
    let mut fours = pairs;
    for i in (0..TILE).step_by(4) {
        fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    let mut columns = fours;
    for c in 0..4 {
        let even_above = _mm512_shuffle_i32x4::<EVEN>(fours[c], fours[c + 4]);
        let odd_above = _mm512_shuffle_i32x4::<ODD>(fours[c], fours[c + 4]);
        let even_below = _mm512_shuffle_i32x4::<EVEN>(fours[c + 8], fours[c + 12]);
        let odd_below = _mm512_shuffle_i32x4::<ODD>(fours[c + 8], fours[c + 12]);
        columns[c] = _mm512_shuffle_i32x4::<EVEN>(even_above, even_below);
        columns[c + 4] = _mm512_shuffle_i32x4::<EVEN>(odd_above, odd_below);
        columns[c + 8] = _mm512_shuffle_i32x4::<ODD>(even_above, even_below);
        columns[c + 12] = _mm512_shuffle_i32x4::<ODD>(odd_above, odd_below);
    }
    columns
}
