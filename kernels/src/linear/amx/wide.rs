//! Many rows: the products are most of the work.
//!
//! The weight is taken in panels of some hundred rows and blocks of [`DEPTH`] steps of columns, and a block in bands of
//! 32 rows. A band is copied, so that its rows lie one after the other, and stays in the first-level cache while all of
//! `x` passes by; rows that lie a power of two apart would push each other out. The sums of a panel and a block of `x`
//! stay in the second-level cache: it is what is read from beyond it that decides how large a panel should be. While a
//! band is multiplied, the next one is asked for.

use std::cell::RefCell;

use half::bf16;

use super::turned::Turned;
use super::{BAND, Element, Out};
use crate::Pool;
use crate::tiles::{Registers, Rows, STEP, Sums, TILE, multiply};

/// Steps of 32 columns that are worked on at a time: a band of the weight and one of `x` are 16 KiB each.
const DEPTH: usize = 8;

/// Bands that a thread takes at a time, at most: their sums for 512 rows of `x` are 512 KiB.
const PANEL: usize = 8;

/// 32 rows and 32 columns of a weight: two tiles.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Band(pub(crate) [[bf16; STEP]; BAND]);

impl Band {
    const ZERO: Self = Self([[bf16::ZERO; STEP]; BAND]);
}

/// A weight that gives out its bands.
pub(crate) trait Bands: Sync {
    /// Writes the 32 rows from `row` on: as many times 32 columns as `bands` is long, from `32 * step` on.
    fn read(&self, row: usize, step: usize, bands: &mut [Band]);

    /// Where that lies in memory, to be asked for ahead of [`read`](Self::read): where the first row begins, and the bytes
    /// from one row to the next and from one step to the next.
    fn place(&self, row: usize, step: usize) -> Rows;
}

/// A weight in bf16, row by row.
pub(super) struct Plain<'a> {
    pub(super) weight: &'a [bf16],
    pub(super) inputs: usize,
}

impl Bands for Plain<'_> {
    #[inline]
    fn read(&self, row: usize, step: usize, bands: &mut [Band]) {
        for index in 0..BAND {
            let start = (row + index) * self.inputs + step * STEP;
            let columns = self.weight.get(start..start + bands.len() * STEP).unwrap_or_default();
            for (band, columns) in bands.iter_mut().zip(columns.as_chunks::<STEP>().0) {
                band.0[index] = *columns;
            }
        }
    }

    fn place(&self, row: usize, step: usize) -> Rows {
        let start = self.weight.as_ptr().wrapping_add(row * self.inputs + step * STEP);
        Rows { start: start.cast(), stride: self.inputs * size_of::<bf16>(), step: STEP * size_of::<bf16>() }
    }
}

/// Computes a layer.
///
/// # Safety
/// As [`super::linear`]; `weight` has as many rows as there are outputs, of `inputs` columns.
pub(super) unsafe fn linear<O: Element>(
    pool: &Pool,
    inputs: usize,
    x: &[bf16],
    weight: &impl Bands,
    out: &Out<O>,
) {
    // The same number of panels for each thread.
    let bands = out.outputs / BAND;
    let panels = (bands.div_ceil(pool.threads() * PANEL) * pool.threads()).min(bands);
    // SAFETY: the caller's promise, passed on.
    unsafe {
        Turned::with(pool, x, inputs, (BAND / TILE, DEPTH), |turned| {
            let layer = Layer { turned, weight, out };
            pool.run(panels, &|panel| {
                let first = bands * panel / panels * BAND;
                // What is left after whole bands is the last panel's.
                let end = if panel + 1 == panels { out.outputs } else { bands * (panel + 1) / panels * BAND };
                match turned.bands {
                    16.. => layer.panel::<2>(first, end),
                    8..16 => layer.panel::<4>(first, end),
                    4..8 => layer.panel::<8>(first, end),
                    _ => layer.panel::<16>(first, end),
                }
            });
        });
    }
}

struct Layer<'a, O, W> {
    turned: &'a Turned<'a>,
    weight: &'a W,
    out: &'a Out<O>,
}

impl<O: Element, W: Bands> Layer<'_, O, W> {
    /// Computes the outputs from `first` to `end`, at least [`BAND`] of them. While a band of the weight is multiplied
    /// by a band of `x`, `AHEAD` rows of the next one are asked for.
    ///
    /// # Safety
    /// As [`linear`].
    unsafe fn panel<const AHEAD: usize>(&self, first: usize, end: usize) {
        thread_local! {
            // Kept from call to call: fresh memory costs a fault a page.
            static SUMS: RefCell<Vec<[Sums; 4]>> = const { RefCell::new(Vec::new()) };
        }
        let Turned { bands: x_bands, steps, depth, .. } = *self.turned;
        let bands = (end - first).div_ceil(BAND);
        // The last one is moved back to be whole; what it then shares with the one before it is computed twice.
        let row = |band: usize| (first + band * BAND).min(end - BAND);
        let mut weight = [Band::ZERO; DEPTH];
        // SAFETY: the processor has tiles, and this thread no others.
        let registers = unsafe { Registers::configure() };
        SUMS.with_borrow_mut(|sums| {
            // Not cleared: the first block does not read them.
            sums.resize((bands * x_bands).max(sums.len()), [Sums::ZERO; 4]);
            for step in (0..steps).step_by(depth) {
                for (band, sums) in sums.chunks_mut(x_bands).enumerate().take(bands) {
                    let weight = weight.get_mut(..depth.min(steps - step)).unwrap_or_default();
                    self.weight.read(row(band), step, weight);
                    let next = if band + 1 < bands { (band + 1, step) } else { (0, step + depth) };
                    let next = self.weight.place(row(next.0), next.1);
                    for (x_band, sums) in sums.iter_mut().enumerate() {
                        let rows = (x_band * AHEAD).min(BAND - AHEAD);
                        let ahead = Rows { start: next.start.wrapping_add(rows * next.stride), ..next };
                        // SAFETY: the processor has tiles, and they are configured.
                        unsafe { self.multiply::<AHEAD>(weight, step, x_band, sums, ahead) };
                        if step + depth >= steps {
                            // SAFETY: the columns are this thread's.
                            unsafe { self.round(row(band), x_band, sums) };
                        }
                    }
                }
            }
        });
        drop(registers);
    }

    /// Adds the product of a band of the weight and of `x` to their sums, or begins them.
    ///
    /// # Safety
    /// As [`linear`]; tiles are configured.
    #[inline]
    unsafe fn multiply<const AHEAD: usize>(
        &self,
        weight: &[Band],
        step: usize,
        x_band: usize,
        sums: &mut [Sums; 4],
        ahead: Rows,
    ) {
        let rows = Rows { start: weight.as_ptr().cast(), stride: STEP * 2, step: size_of::<Band>() };
        let turned = self.turned.band(step, x_band);
        debug_assert_eq!(turned.len(), 2 * weight.len());
        let (turned, sums) = (turned.as_ptr(), sums.as_mut_ptr());
        // SAFETY: both have as many steps as `weight` is long.
        unsafe {
            match step {
                0 => multiply::<true, AHEAD>(rows, turned, weight.len(), sums, ahead),
                _ => multiply::<false, AHEAD>(rows, turned, weight.len(), sums, ahead),
            }
        }
    }

    /// Rounds the sums of 32 outputs from `column` on and of a band of `x` into the result.
    ///
    /// # Safety
    /// As [`linear`]; the columns are within the result and this thread's.
    unsafe fn round(
        &self,
        column: usize,
        x_band: usize,
        [upper, upper_right, lower, lower_right]: &[Sums; 4],
    ) {
        for (group, sums) in [[upper, lower], [upper_right, lower_right]].into_iter().enumerate() {
            let row = x_band * BAND + group * TILE;
            let rows = TILE.min(self.out.rows.saturating_sub(row));
            if rows == 0 {
                return;
            }
            // SAFETY: the rows are the result's, and the columns this thread's.
            unsafe {
                let out = self.out.start.get().add(row * self.out.outputs + column);
                O::round_tiles(sums, rows, out, self.out.outputs);
            }
        }
    }
}
