//! Attention of many queries, with tiles.
//!
//! The queries that share a head of the cache are rows, each with its own position: a block of [`ROWS`] of them meets
//! [`KEYS`] keys at a time, with the greatest score and the sum of weights so far kept for each row. Scores are
//! computed as keys by rows, so that keys are read where they lie, and each row is a lane of the registers in which its
//! softmax is computed. Weights are rounded to bf16 for the second product, as in the decomposition. Source: Dao,
//! "FlashAttention-2", 2023.

mod rows;
mod softmax;
mod values;

use std::cell::RefCell;

use half::bf16;

use super::block::Block;
use super::held::Held;
use super::lanes::{self, Keys, Lanes};
use super::sight::{Sight, View};
use super::{AttentionShape, Layer};
use crate::tiles::{Pairs, Registers, Rows, STEP, Sums, TILE, multiply, round, turn};

pub(super) use rows::TileElement;

/// Rows of two tiles.
const BAND: usize = 2 * TILE;
/// Rows that are worked on at a time.
const ROWS: usize = 4 * BAND;
/// Keys that are worked on at a time.
const KEYS: usize = 4 * BAND;

/// Whether a head consists of whole tiles.
pub(super) fn takes(shape: AttentionShape) -> bool {
    shape.head_dim.is_multiple_of(STEP) && shape.head_dim > 0
}

/// Attends.
///
/// # Safety
/// The processor has AMX with bf16 and AVX-512, the process may use both, the slices are of the shape's sizes, and
/// [`takes`] says yes.
pub(super) unsafe fn attend<E: TileElement>(layer: Layer<'_>, cache: Held<'_, E>, out: &mut [bf16]) {
    thread_local! {
        // Kept from call to call: fresh memory costs a fault a page.
        static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::NONE) };
    }
    Block::each(layer, cache, ROWS, out, |block| {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.fit(block.shape.head_dim);
            // SAFETY: the caller's promise.
            unsafe { block.attend_in_tiles(scratch) };
        });
    });
}

/// What a thread works in.
struct Scratch {
    /// `[row band][step of the head]`, two tiles each.
    query: Vec<Pairs>,
    /// `[row band][key band]`: scores, then weights, keys by rows.
    scores: Vec<[Sums; 4]>,
    /// `[row band][key band]`: weights, rows by keys.
    weights: Vec<[Pairs; 2]>,
    /// `[pair of tiles of the head][key band]`, two tiles each.
    values: Vec<Pairs>,
    /// `[row band][pair of tiles of the head]`: sums of weighted values.
    sums: Vec<[Sums; 4]>,
    /// Keys that are not bf16, or do not fill a band, with zeros behind them.
    keys: Vec<bf16>,
}

impl Scratch {
    const NONE: Self = Self {
        query: Vec::new(),
        scores: Vec::new(),
        weights: Vec::new(),
        values: Vec::new(),
        sums: Vec::new(),
        keys: Vec::new(),
    };

    /// Makes it large enough for heads of this many elements.
    fn fit(&mut self, head_dim: usize) {
        const { assert!(TILE == lanes::ROWS) };
        let steps = head_dim / STEP;
        let (row_bands, key_bands) = (ROWS / BAND, KEYS / BAND);
        self.query.resize(row_bands * steps * 2, Pairs::ZERO);
        self.scores.resize(row_bands * key_bands, [Sums::ZERO; 4]);
        self.weights.resize(row_bands * key_bands, [Pairs::ZERO; 2]);
        self.values.resize(steps * key_bands * 2, Pairs::ZERO);
        self.sums.resize(row_bands * steps, [Sums::ZERO; 4]);
        self.keys.resize(BAND * head_dim, bf16::ZERO);
    }
}

impl<E: TileElement> Block<'_, E> {
    /// Attends, and writes the rows into the result.
    ///
    /// # Safety
    /// As [`attend`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn attend_in_tiles(&mut self, scratch: &mut Scratch) {
        let steps = self.shape.head_dim / STEP;
        let row_bands = self.rows.div_ceil(BAND);
        for (index, tile) in scratch.query.iter_mut().enumerate() {
            let (band, step, half) = (index / (2 * steps), index / 2 % steps, index % 2);
            turn(tile, |row| self.query(band * BAND + half * TILE + row).get(step * STEP..(step + 1) * STEP));
        }
        let mut lanes: [Lanes; ROWS / TILE] =
            std::array::from_fn(|group| Lanes::new(|lane| self.position(group * TILE + lane)));
        let view = View::new(self.numbers.window, lanes.iter().flat_map(|lanes| lanes.positions));
        // SAFETY: the processor has tiles, and this thread no others.
        let registers = unsafe { Registers::configure() };
        let mut fresh = true;
        for (index, positions) in self.slot_positions.chunks(KEYS).enumerate() {
            let sight = view.of(positions);
            if sight == Sight::Nothing {
                continue;
            }
            let key_bands = positions.len().div_ceil(BAND);
            let head_dim = self.shape.head_dim;
            let first = index * KEYS;
            let cache = self.cache.slots(first..first + positions.len(), head_dim);
            values::turn_values(cache.values.elements, head_dim, positions, &mut scratch.values);
            // SAFETY: tiles are configured; the scratch fits.
            unsafe {
                self.scores(scratch, cache.keys.elements, row_bands, key_bands);
                let keys = Keys {
                    positions,
                    key_scales: cache.keys.scales,
                    value_scales: cache.values.scales,
                    sight,
                };
                for band in 0..row_bands {
                    self.weigh(scratch, &mut lanes, band, keys, fresh);
                    self.mix(scratch, band, key_bands, fresh);
                }
            }
            fresh = false;
        }
        drop(registers);
        for row in 0..self.rows {
            let out = self.out(row);
            if fresh {
                out.fill(bf16::ZERO);
                continue;
            }
            let (band, half, lane) = (row / BAND, row % BAND / TILE, row % TILE);
            let factor = lanes[row / TILE].factor(lane);
            let sums = scratch.sums.iter().skip(band * steps).flat_map(|tiles| &tiles[2 * half..][..2]);
            for (out, sums) in out.chunks_exact_mut(TILE).zip(sums) {
                for (out, sum) in out.iter_mut().zip(sums.0[lane]) {
                    *out = bf16::from_f32(sum * factor);
                }
            }
        }
    }

    /// The products of keys and rows.
    ///
    /// # Safety
    /// As [`attend`]; tiles are configured.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn scores(&self, scratch: &mut Scratch, keys: &[E], row_bands: usize, key_bands: usize) {
        let head_dim = self.shape.head_dim;
        let (steps, stride) = (head_dim / STEP, head_dim * size_of::<bf16>());
        for key_band in 0..key_bands {
            let rest = keys.get(key_band * BAND * head_dim..).unwrap_or_default();
            let keys = match E::in_place(rest).and_then(|rest| rest.get(..BAND * head_dim)) {
                Some(keys) => keys,
                None => {
                    rows::copy_rows(rest, &mut scratch.keys);
                    scratch.keys.as_slice()
                }
            };
            let keys = Rows { start: keys.as_ptr().cast(), stride, step: 64 };
            let queries = scratch.query.chunks(2 * steps);
            let scores = scratch.scores.chunks_mut(KEYS / BAND);
            for (query, scores) in queries.zip(scores).take(row_bands) {
                if let Some(scores) = scores.get_mut(key_band) {
                    // SAFETY: the keys and the queries have as many steps; tiles are configured.
                    unsafe { multiply::<true, 0>(keys, query.as_ptr(), steps, scores.as_mut_ptr(), keys) };
                }
            }
        }
    }

    /// Makes weights of the scores of a band of rows, and has what was summed before shrink by as much as they did.
    ///
    /// # Safety
    /// The processor has AVX-512 with bf16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn weigh(
        &self,
        scratch: &mut Scratch,
        lanes: &mut [Lanes; ROWS / TILE],
        band: usize,
        keys: Keys<'_>,
        fresh: bool,
    ) {
        let steps = self.shape.head_dim / STEP;
        let key_bands = keys.positions.len().div_ceil(BAND);
        let first = band * (KEYS / BAND);
        let scores = scratch.scores.get_mut(first..first + key_bands).unwrap_or_default();
        let weights = scratch.weights.get_mut(first..first + key_bands).unwrap_or_default();
        let sums = scratch.sums.get_mut(band * steps..(band + 1) * steps).unwrap_or_default();
        for (half, lanes) in lanes.iter_mut().skip(2 * band).take(2).enumerate() {
            let shrink = lanes.weigh_tiles(self.numbers, scores, half, keys);
            for (tiles, weights) in scores.iter().zip(&mut *weights) {
                let of_keys = [&tiles[half], &tiles[2 + half]];
                let out = weights[half].0.as_mut_ptr().cast();
                // SAFETY: 16 rows of 32 weights.
                unsafe { round::to_bf16(of_keys, TILE, out, STEP) };
            }
            if fresh || shrink == [1.0; TILE] {
                continue;
            }
            for sums in sums.iter_mut().flat_map(|tiles| &mut tiles[2 * half..][..2]) {
                for (row, shrink) in sums.0.iter_mut().zip(shrink) {
                    row.iter_mut().for_each(|sum| *sum *= shrink);
                }
            }
        }
    }

    /// Adds the weighted values of a band of rows.
    ///
    /// # Safety
    /// As [`attend`]; tiles are configured.
    unsafe fn mix(&self, scratch: &mut Scratch, band: usize, key_bands: usize, fresh: bool) {
        let steps = self.shape.head_dim / STEP;
        let weights = scratch.weights.get(band * (KEYS / BAND)..).unwrap_or_default();
        let rows = Rows { start: weights.as_ptr().cast(), stride: 64, step: size_of::<[Pairs; 2]>() };
        let values = scratch.values.chunks(2 * (KEYS / BAND));
        let sums = scratch.sums.get_mut(band * steps..(band + 1) * steps).unwrap_or_default();
        for (values, sums) in values.zip(sums) {
            let (values, sums) = (values.as_ptr(), sums.as_mut_ptr());
            // SAFETY: there are as many steps of weights and of values; tiles are configured.
            unsafe {
                match fresh {
                    true => multiply::<true, 0>(rows, values, key_bands, sums, rows),
                    false => multiply::<false, 0>(rows, values, key_bands, sums, rows),
                }
            }
        }
    }
}
