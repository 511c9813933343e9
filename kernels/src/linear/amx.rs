//! Tiles of bf16 with AMX.
//!
//! A tile product takes one operand with its rows as they lie in memory and the other with pairs of elements
//! turned: `c[i][j] += Σ a[i][2p] b[p][2j] + a[i][2p+1] b[p][2j+1]`. The weight is the first, so that it is read where
//! it lies, and the turned one is `x`, which is small. Products are therefore the result's columns by its rows, and
//! are turned when they are rounded. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
//! TDPBF16PS.
//!
//! The weight is taken in panels of [`PANEL`] rows and [`DEPTH`] columns: a slice of `x` for that depth and the
//! sums of a panel stay in the second-level cache, and a band of 32 rows of the weight in the first-level cache.

use std::arch::asm;
use std::cell::RefCell;

use half::bf16;

use super::{Element, FEW_ROWS, LinearShape};
use crate::Pool;
use crate::pool::Address;

/// Rows of a tile.
const TILE: usize = 16;
/// Elements of a row of a tile of bf16.
const TILE_INPUTS: usize = 32;
/// f32 or pairs of bf16 in a tile.
const TILE_WORDS: usize = TILE * TILE;
/// Rows of the weight, and rows of `x`, that are worked on at a time: two tiles each, four of sums.
const BAND: usize = 2 * TILE;
/// Rows of the weight that a thread takes at a time.
const PANEL: usize = 4 * BAND;
/// Columns of the weight that are worked on at a time.
const DEPTH: usize = 16 * TILE_INPUTS;
/// Rows of `x` that are worked on at a time.
const X_ROWS: usize = 512;

/// Whether the shape consists of whole tiles.
pub(super) fn takes(shape: LinearShape) -> bool {
    shape.inputs.is_multiple_of(TILE_INPUTS) && shape.outputs >= BAND
}

/// Tiles of words, aligned as loads like it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Tile([u32; TILE_WORDS]);

const ZERO: Tile = Tile([0; TILE_WORDS]);

thread_local! {
    // Kept from call to call: fresh memory costs a fault a page.
    static TURNED: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
    static SUMS: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
}

/// Computes a layer.
///
/// # Safety
/// The processor has AMX with bf16 and AVX-512, the process may use both, the slices are of the shape's sizes, and
/// [`takes`] says yes.
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    shape: LinearShape,
    x: &[bf16],
    weight: &[bf16],
    out: &mut [O],
) {
    let LinearShape { inputs, outputs, .. } = shape;
    debug_assert!(shape.rows > FEW_ROWS);
    for (x, out) in x.chunks(X_ROWS * inputs).zip(out.chunks_mut(X_ROWS * outputs)) {
        TURNED.with_borrow_mut(|turned| {
            let rows = x.len() / inputs;
            turn(pool, x, inputs, turned);
            let layer = Layer { rows, inputs, outputs, turned, weight, out: Address(out.as_mut_ptr()) };
            // What is left after whole panels is the last one's.
            let panels = (outputs / PANEL).max(1);
            pool.run(panels, &|part| {
                let first = part * PANEL;
                let end = if part + 1 == panels { outputs } else { first + PANEL };
                // SAFETY: the caller's promise, passed on.
                SUMS.with_borrow_mut(|sums| unsafe { layer.panel(first, end, sums) });
            });
        });
    }
}

/// Pairs of `x` as tiles of 16 rows of `x` and 32 of its columns, those of the same rows one after the other. Rows
/// that `x` lacks for a whole [`BAND`] are zero.
fn turn(pool: &Pool, x: &[bf16], inputs: usize, turned: &mut Vec<Tile>) {
    let rows = x.len() / inputs;
    let steps = inputs / TILE_INPUTS;
    let tiles = rows.next_multiple_of(BAND) / TILE * steps;
    turned.resize(tiles, ZERO);
    pool.each_chunk(turned, steps, &|group, tiles| {
        for (step, tile) in tiles.iter_mut().enumerate() {
            for row in 0..TILE {
                let at = (group * TILE + row) * inputs + step * TILE_INPUTS;
                let pairs = x.get(at..at + TILE_INPUTS).unwrap_or_default().as_chunks::<2>().0;
                for pair in 0..TILE {
                    let word = pairs.get(pair).map_or(0, |[low, high]| {
                        u32::from(low.to_bits()) | (u32::from(high.to_bits()) << 16)
                    });
                    tile.0[pair * TILE + row] = word;
                }
            }
        }
    });
}

struct Layer<'a, O> {
    rows: usize,
    inputs: usize,
    outputs: usize,
    turned: &'a [Tile],
    weight: &'a [bf16],
    out: Address<O>,
}

impl<O: Element> Layer<'_, O> {
    /// Computes the outputs from `first` to `end`, at least [`BAND`] of them.
    ///
    /// # Safety
    /// As [`linear`].
    unsafe fn panel(&self, first: usize, end: usize, sums: &mut Vec<Tile>) {
        let x_bands = self.rows.div_ceil(BAND);
        let bands = (end - first).div_ceil(BAND);
        // Not cleared: the first depth does not read them.
        sums.resize((bands * x_bands * 4).max(sums.len()), ZERO);
        let steps = self.inputs / TILE_INPUTS;
        // SAFETY: the processor has tiles.
        unsafe { configure() };
        for step in (0..steps).step_by(DEPTH / TILE_INPUTS) {
            let count = (DEPTH / TILE_INPUTS).min(steps - step);
            for band in 0..bands {
                let row = Self::band_start(first, end, band);
                for x_band in 0..x_bands {
                    let Some(sums) = sums.get_mut((band * x_bands + x_band) * 4..) else { continue };
                    // SAFETY: 32 rows of the weight and two groups of tiles of `x` have these steps, and there
                    // are four tiles of sums.
                    unsafe { self.multiply(row, x_band, step, count, sums.as_mut_ptr()) };
                }
            }
        }
        // SAFETY: ends what `configure` began.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
        for band in 0..bands {
            let column = Self::band_start(first, end, band);
            for x_band in 0..x_bands {
                let at = (band * x_bands + x_band) * 4;
                for (index, sums) in sums.iter().skip(at).take(4).enumerate() {
                    let column = column + index / 2 * TILE;
                    let row = x_band * BAND + index % 2 * TILE;
                    self.store(row, column, sums);
                }
            }
        }
    }

    /// First row of the weight of a band. The last one is moved back to be whole; what it then shares with the one
    /// before it is computed twice.
    fn band_start(first: usize, end: usize, band: usize) -> usize {
        (first + band * BAND).min(end - BAND)
    }

    /// Adds `count` steps to the four sums of a band of the weight and a band of `x`.
    ///
    /// # Safety
    /// As [`linear`]; tiles are configured; `sums` has four tiles; the band's 32 rows and the steps exist.
    #[inline]
    unsafe fn multiply(&self, row: usize, x_band: usize, step: usize, count: usize, sums: *mut Tile) {
        let steps = self.inputs / TILE_INPUTS;
        let stride = self.inputs * size_of::<bf16>();
        // SAFETY: the caller's promise: both addresses lie within their slices.
        let (weight, x) = unsafe {
            (
                self.weight.as_ptr().add(row * self.inputs + step * TILE_INPUTS),
                self.turned.as_ptr().add(x_band * 2 * steps + step),
            )
        };
        // SAFETY: reads 16 rows of 64 bytes at each weight address, `stride` apart, and a whole tile at each address of
        // `x`, all within their slices; the sums are read only after the first step, when they have been
        // written; tile registers belong to nobody else.
        unsafe {
            asm!(
                "test {fresh}, {fresh}",
                "jz 3f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 2f",
                "3:",
                "tileloadd tmm0, [{sums} + {row}]",
                "tileloadd tmm1, [{sums} + {row} + 1024]",
                "tileloadd tmm2, [{sums} + {row} + 2048]",
                "tileloadd tmm3, [{sums} + {row} + 3072]",
                "2:",
                "tileloadd tmm4, [{w0} + {stride}]",
                "tileloadd tmm6, [{x0} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{x1} + {row}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{w1} + {stride}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {w0}, 64",
                "add {w1}, 64",
                "add {x0}, 1024",
                "add {x1}, 1024",
                "dec {count}",
                "jnz 2b",
                "tilestored [{sums} + {row}], tmm0",
                "tilestored [{sums} + {row} + 1024], tmm1",
                "tilestored [{sums} + {row} + 2048], tmm2",
                "tilestored [{sums} + {row} + 3072], tmm3",
                fresh = in(reg) usize::from(step == 0),
                sums = in(reg) sums,
                row = in(reg) 64usize,
                stride = in(reg) stride,
                w0 = inout(reg) weight => _,
                w1 = inout(reg) weight.byte_add(TILE * stride) => _,
                x0 = inout(reg) x => _,
                x1 = inout(reg) x.add(steps) => _,
                count = inout(reg) count => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// Rounds a tile of sums, of 16 outputs from `column` by 16 rows from `row`, into the result.
    fn store(&self, row: usize, column: usize, sums: &Tile) {
        for r in 0..TILE.min(self.rows.saturating_sub(row)) {
            // SAFETY: the row is one of the result's, and the 16 columns are within it and this thread's.
            let out = unsafe { self.out.get().add((row + r) * self.outputs + column) };
            for c in 0..TILE {
                // SAFETY: as above.
                unsafe { out.add(c).write(O::round(f32::from_bits(sums.0[c * TILE + r]))) };
            }
        }
    }
}

/// Makes every tile register 16 rows of 64 bytes.
///
/// # Safety
/// The processor has AMX and the process may use it.
unsafe fn configure() {
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
}
