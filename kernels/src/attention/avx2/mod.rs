//! Attention of many queries, with products in f32.
//!
//! The queries that share a head of the cache are rows, a lane of a register each: a block of [`ROWS`] of them meets [`KEYS`]
//! keys at a time, which are widened once for all of them, with the greatest score and the sum of weights so far kept for each
//! row. Scores and weights are keys by rows, which is how the second product takes them. Source: Dao, "FlashAttention-2", 2023.

mod part;
mod softmax;

use std::cell::RefCell;

use half::bf16;

use super::block::Block;
use super::held::{Element, Held};
use super::lanes::{self, Keys, Lanes};
use super::sight::{Sight, View};
use super::{AttentionShape, Layer};
use crate::avx2::panel::{self, Column};
use crate::avx2::tile::{self, Tile};

pub(super) use part::attend as attend_part;

/// Panels of rows that are worked on at a time.
const PANELS: usize = 4;

/// Rows that are worked on at a time.
const ROWS: usize = PANELS * panel::ROWS;

/// Keys that are worked on at a time: with their values, 204 KiB of widened elements for heads of 256.
const KEYS: usize = 96;

/// The longest head: the queries of a panel take half of the first-level cache.
const LONGEST_HEAD: usize = 256;

/// From one widened key or value to the next, in f32: rows that lie a power of two apart would push each other out of the
/// first-level cache.
const STRIDE: usize = LONGEST_HEAD + 16;

/// Whether heads are short enough.
pub(super) fn takes(shape: AttentionShape) -> bool {
    shape.head_dim <= LONGEST_HEAD
}

/// Attends.
///
/// # Safety
/// The processor has AVX2 and FMA, the slices are of the shape's sizes, and [`takes`] says yes.
pub(super) unsafe fn attend<E: Element>(layer: Layer<'_>, cache: Held<'_, E>, out: &mut [bf16]) {
    thread_local! {
        // Kept from call to call: fresh memory costs a fault a page.
        static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::NONE) };
    }
    Block::each(layer, cache, ROWS, out, |block| {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.fit(block.shape.head_dim);
            // SAFETY: the caller's promise.
            unsafe { block.attend_in_columns(scratch) };
        });
    });
}

/// What a thread works in.
struct Scratch {
    /// `[panel][element of the head]`.
    queries: Vec<Column>,
    /// `[KEYS, STRIDE]`.
    keys: Vec<f32>,
    /// As the keys.
    values: Vec<f32>,
    /// Of a panel: scores of keys, then weights.
    scores: Vec<Tile>,
    /// `[panel][tile of elements of the head]`: sums of weighted values.
    sums: Vec<Tile>,
}

impl Scratch {
    const NONE: Self = Self {
        queries: Vec::new(),
        keys: Vec::new(),
        values: Vec::new(),
        scores: Vec::new(),
        sums: Vec::new(),
    };

    /// Makes it of the size for heads of this many elements.
    fn fit(&mut self, head_dim: usize) {
        const { assert!(panel::ROWS == lanes::ROWS) };
        const { assert!(KEYS.is_multiple_of(tile::OUTPUTS) && LONGEST_HEAD + tile::OUTPUTS <= STRIDE) };
        self.queries.resize(PANELS * head_dim, Column::default());
        self.keys.resize(KEYS * STRIDE, 0.0);
        self.values.resize(KEYS * STRIDE, 0.0);
        self.scores.resize(KEYS / tile::OUTPUTS, tile::ZERO);
        self.sums.resize(PANELS * head_dim.div_ceil(tile::OUTPUTS), tile::ZERO);
    }
}

impl<E: Element> Block<'_, E> {
    /// Attends, and writes the rows into the result.
    ///
    /// # Safety
    /// As [`attend`].
    #[target_feature(enable = "avx2,fma")]
    unsafe fn attend_in_columns(&mut self, scratch: &mut Scratch) {
        let head_dim = self.shape.head_dim;
        let tiles = head_dim.div_ceil(tile::OUTPUTS);
        let Scratch { queries, keys, values, scores, sums } = scratch;
        for (index, columns) in queries.chunks_mut(head_dim).enumerate() {
            panel::fill(|row| self.query(index * panel::ROWS + row), columns);
        }
        let mut lanes: [Lanes; PANELS] =
            std::array::from_fn(|index| Lanes::new(|row| self.position(index * panel::ROWS + row)));
        let panels = self.rows.div_ceil(panel::ROWS);
        let mut begins = true;
        let view = View::new(self.numbers.window, lanes.iter().flat_map(|lanes| lanes.positions));
        for (index, positions) in self.slot_positions.chunks(KEYS).enumerate() {
            let left = view.trim(positions);
            let positions = &positions[left.clone()];
            let sight = view.of(positions);
            if sight == Sight::Nothing {
                continue;
            }
            let first = index * KEYS + left.start;
            let cache = self.cache.slots(first..first + positions.len(), head_dim);
            widen(cache.keys.elements, head_dim, keys, |_| true);
            // Of slots that hold nothing, zeros: a weight of zero would not make nothing of infinity.
            widen(cache.values.elements, head_dim, values, |slot| positions[slot] >= 0);
            let of_keys =
                Keys { positions, key_scales: cache.keys.scales, value_scales: cache.values.scales, sight };
            let panels = queries.chunks(head_dim).zip(sums.chunks_mut(tiles)).zip(&mut lanes).take(panels);
            for ((queries, sums), lanes) in panels {
                // SAFETY: the processor has what this function is compiled for; there are as many keys and elements of each.
                unsafe {
                    let keys =
                        keys.chunks(tile::OUTPUTS * STRIDE).take(positions.len().div_ceil(tile::OUTPUTS));
                    for (scores, keys) in scores.iter_mut().zip(keys) {
                        tile::multiply::<STRIDE, 1>(queries, keys, scores, true, |_| {});
                    }
                    let weights = &mut scores.as_flattened_mut()[..positions.len()];
                    let shrink = lanes.weigh_columns(self.numbers, weights, of_keys);
                    if !begins {
                        softmax::shrink(sums, &shrink);
                    }
                    for (index, sums) in sums.iter_mut().enumerate() {
                        let values = &values[index * tile::OUTPUTS..];
                        tile::multiply::<1, STRIDE>(weights, values, sums, begins, |_| {});
                    }
                }
            }
            begins = false;
        }
        for (index, (sums, lanes)) in sums.chunks(tiles).zip(&lanes).enumerate().take(panels) {
            let first = index * panel::ROWS;
            let rows = panel::ROWS.min(self.rows - first);
            if begins {
                (first..first + rows).for_each(|row| self.out(row).fill(bf16::ZERO));
                continue;
            }
            tile::each_row(sums, rows, |row, element, sums| {
                let factor = lanes.factor(row);
                let out = self.out(first + row).get_mut(element..).unwrap_or_default();
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = bf16::from_f32(sum * factor);
                }
            });
        }
    }
}

/// Writes elements of slots [`STRIDE`] apart, and zeros for those of slots that are not `held`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn widen<E: Element>(elements: &[E], head_dim: usize, to: &mut [f32], held: impl Fn(usize) -> bool) {
    for (slot, (to, elements)) in to.chunks_mut(STRIDE).zip(elements.chunks(head_dim)).enumerate() {
        let to = &mut to[..head_dim];
        match held(slot) {
            true => to.iter_mut().zip(elements).for_each(|(to, element)| *to = element.wide()),
            false => to.fill(0.0),
        }
    }
}
