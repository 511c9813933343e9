//! `x` in pairs of elements.

use std::cell::RefCell;

use half::bf16;

use crate::Pool;
use crate::tiles::{Pairs, STEP, TILE, turn};

/// Tiles below which one thread is done before another would have begun.
const WORTH_SHARING: usize = 256;

/// `x` as tiles of 16 of its rows and 32 of its columns, in the order in which they are read: the columns cut in
/// blocks of `depth` steps; in a block, the rows in bands of `side` tiles; in a band, step by step. Rows that `x`
/// lacks for a whole band are zero.
pub(super) struct Turned<'t> {
    tiles: &'t [Pairs],
    /// Tiles of a band that lie side by side.
    side: usize,
    /// Bands of rows.
    pub(super) bands: usize,
    /// Steps of 32 columns.
    pub(super) steps: usize,
    /// Steps in a block, but for the last.
    pub(super) depth: usize,
}

impl Turned<'_> {
    /// Turns `x` and calls `then` with it.
    ///
    /// # Safety
    /// The processor has AVX-512.
    pub(super) unsafe fn with<R>(
        pool: &Pool,
        x: &[bf16],
        inputs: usize,
        (side, depth): (usize, usize),
        then: impl FnOnce(&Turned<'_>) -> R,
    ) -> R {
        thread_local! {
            // Kept from call to call: fresh memory costs a fault a page.
            static TILES: RefCell<Vec<Pairs>> = const { RefCell::new(Vec::new()) };
        }
        TILES.with_borrow_mut(|tiles| {
            let bands = (x.len() / inputs).div_ceil(side * TILE);
            let steps = inputs / STEP;
            let count = bands * side * steps;
            tiles.resize(count.max(tiles.len()), Pairs::ZERO);
            let tiles = tiles.get_mut(..count).unwrap_or_default();
            let block = bands * side * depth;
            let turn_block = |index: usize, tiles: &mut [Pairs]| {
                // SAFETY: the caller's promise.
                unsafe { turn_steps(x, inputs, bands * side, side, index * depth, tiles) };
            };
            if count < WORTH_SHARING {
                tiles.chunks_mut(block).enumerate().for_each(|(index, tiles)| turn_block(index, tiles));
            } else {
                pool.each_chunk(tiles, block, &turn_block);
            }
            then(&Turned { tiles, side, bands, steps, depth })
        })
    }

    /// All tiles.
    pub(super) fn tiles(&self) -> &[Pairs] {
        self.tiles
    }

    /// The tiles of a band from the first step of a block on.
    pub(super) fn band(&self, step: usize, band: usize) -> &[Pairs] {
        let steps = self.depth.min(self.steps - step);
        let start = (step * self.bands + band * steps) * self.side;
        self.tiles.get(start..start + steps * self.side).unwrap_or_default()
    }
}

/// Fills a block of `groups` groups of 16 rows from `step` on.
#[target_feature(enable = "avx512f")]
fn turn_steps(x: &[bf16], inputs: usize, groups: usize, side: usize, step: usize, tiles: &mut [Pairs]) {
    let steps = tiles.len() / groups;
    for (band, tiles) in tiles.chunks_mut(side * steps).enumerate() {
        for (index, tile) in tiles.iter_mut().enumerate() {
            let (step, group) = (step + index / side, band * side + index % side);
            turn(tile, |row| {
                let at = (group * TILE + row) * inputs + step * STEP;
                x.get(at..at + STEP)
            });
        }
    }
}
