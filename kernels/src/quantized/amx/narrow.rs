//! Some rows: reading and decoding the codes is most of the work.
//!
//! Of a tile product's two operands one lies as it is, and the other in pairs of elements. Here `x` is the former. Words of
//! codes of 16 outputs are exchanged with their columns before they are decoded: what such words become is pairs already.
//! A tile has 32 neighbouring elements, which are of one group where groups are multiples of that; its sums are multiplied
//! by the scales in f32, so that weights are exact.
//!
//! Three blocks are under way at a time, so that nothing waits for what it has just written: while one is decoded, the one
//! before it is multiplied, and the sums of the one before that are scaled.

use std::arch::asm;
use std::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_prefetch, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_fmadd_ps,
    _mm512_load_ps, _mm512_set1_ps, _mm512_store_ps, _mm512_store_si512,
};
use std::marker::PhantomData;
use std::ops::Range;

use half::bf16;

use super::blocks::{Block, as_bits};
use super::inputs::Order;
use crate::Pool;
use crate::quantized::avx512::bytes::{self, BYTES};
use crate::quantized::avx512::groups;
use crate::quantized::layer::Layer;
use crate::quantized::output::Output;
use crate::quantized::{Scales, by_outputs};
use crate::tiles::{Registers, STEP, Sums, TILE, transpose};

/// Rows of `x` up to which this is the way.
const MAX_ROWS: usize = 2 * TILE;

/// How far ahead codes of each of 16 outputs are asked for, in bytes.
const AHEAD: usize = 256;

/// Whether the layer has so few rows, and groups of whole tiles.
pub(super) fn takes(layer: &Layer<'_>) -> bool {
    layer.shape.rows <= MAX_ROWS && (layer.groups() == 1 || layer.group().is_multiple_of(STEP))
}

/// Computes a layer.
///
/// # Safety
/// As [`super::linear`]; [`takes`] says yes.
pub(super) unsafe fn linear<const V: usize, B: Block<V>>(pool: &Pool, layer: &Layer<'_>, out: &Output<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        match layer.shape.rows.div_ceil(TILE) {
            1 => linear_of::<V, 1, B>(pool, layer, out),
            _ => linear_of::<V, 2, B>(pool, layer, out),
        }
    }
}

/// # Safety
/// As [`linear`]; `SIDE` tiles have all rows.
unsafe fn linear_of<const V: usize, const SIDE: usize, B: Block<V>>(
    pool: &Pool,
    layer: &Layer<'_>,
    out: &Output<'_>,
) {
    // SAFETY: the caller's promise.
    let operands = unsafe { Operands::<B, V, SIDE>::new(layer) };
    by_outputs(pool, layer, out, TILE, |part, sums| {
        // SAFETY: the processor has tiles, and this thread no others.
        let registers = unsafe { Registers::configure() };
        let mut strip = Strip::new();
        for first in part.clone().step_by(TILE) {
            let outputs = first..(first + TILE).min(part.end);
            // SAFETY: the caller's promise; tiles are configured.
            unsafe { operands.compute(outputs.clone(), &mut strip) };
            for (sums, found) in sums.chunks_mut(part.len()).zip(&strip.totals) {
                let sums = sums.iter_mut().skip(first - part.start);
                sums.zip(found.0).for_each(|(sum, found)| *sum = found);
            }
        }
        drop(registers);
    });
}

/// A tile of bf16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Tile([[bf16; STEP]; TILE]);

impl Tile {
    const ZERO: Self = Self([[bf16::ZERO; STEP]; TILE]);
}

/// A number for each output of a strip.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Lanes([f32; TILE]);

impl Lanes {
    const ZERO: Self = Self([0.0; TILE]);

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(&self) -> __m512 {
        // SAFETY: 64 bytes, aligned to them.
        unsafe { _mm512_load_ps(self.0.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(&mut self, lanes: __m512) {
        // SAFETY: as above.
        unsafe { _mm512_store_ps(self.0.as_mut_ptr(), lanes) }
    }
}

/// What is prepared once a call.
struct Operands<'a, B, const V: usize, const SIDE: usize> {
    layer: &'a Layer<'a>,
    /// For each step of 32 elements, the rows of `x`, zeros for those that it lacks.
    x: Vec<[Tile; SIDE]>,
    /// The sum of the `x` of each group, `[rows, groups]`, where there are offsets.
    group_sums: Vec<f32>,
    /// Steps of a group.
    group: usize,
    _block: PhantomData<B>,
}

/// What is in the works for 16 outputs.
struct Strip<const V: usize, const SIDE: usize> {
    /// Codes of two blocks in pairs.
    codes: [[Tile; V]; 2],
    /// Sums of two blocks, of each step.
    sums: [[[Sums; SIDE]; V]; 2],
    /// For each row, the sums so far.
    totals: Vec<Lanes>,
    /// For each group, the outputs' scales.
    scales: Vec<Lanes>,
    /// For each group, the outputs' offsets.
    offsets: Vec<Lanes>,
}

impl<const V: usize, const SIDE: usize> Strip<V, SIDE> {
    fn new() -> Self {
        Self {
            codes: [[Tile::ZERO; V]; 2],
            sums: [[[Sums::ZERO; SIDE]; V]; 2],
            totals: Vec::new(),
            scales: Vec::new(),
            offsets: Vec::new(),
        }
    }
}

impl<'a, const V: usize, const SIDE: usize, B: Block<V>> Operands<'a, B, V, SIDE> {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(layer: &'a Layer<'a>) -> Self {
        let blocks = layer.shape.inputs.div_ceil(B::INPUTS);
        let order = Order::<B, V>::of_lanes();
        let mut x = vec![[Tile::ZERO; SIDE]; blocks * V];
        for (block, steps) in x.chunks_exact_mut(V).enumerate() {
            for row in 0..layer.shape.rows {
                for (step, vector) in steps.iter_mut().zip(order.block(layer.x_row(row), block)) {
                    let to = &mut step[row / TILE].0[row % TILE];
                    // SAFETY: 32 bf16 are a register, and rows of tiles are aligned to theirs.
                    unsafe { _mm512_store_si512(to.as_mut_ptr().cast(), vector) };
                }
            }
        }
        let group = if layer.groups() == 1 { x.len() } else { layer.group() / STEP };
        Self { layer, x, group_sums: layer.group_sums(), group, _block: PhantomData }
    }

    /// Computes up to 16 outputs for all rows.
    ///
    /// # Safety
    /// As [`linear`]; tiles are configured.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn compute(&self, outputs: Range<usize>, strip: &mut Strip<V, SIDE>) {
        let last = outputs.end - 1;
        // Where there are fewer, the last one is computed again and not stored.
        let output = |index: usize| (outputs.start + index).min(last);
        let rows: [&[u8]; TILE] = std::array::from_fn(|index| self.layer.row(output(index)));
        self.by_group(self.layer.weight.scales, output, &mut strip.scales);
        if let Some(offsets) = self.layer.weight.offsets {
            self.by_group(Scales::F32(offsets), output, &mut strip.offsets);
        }
        strip.totals.clear();
        strip.totals.resize(self.layer.shape.rows, Lanes::ZERO);
        let blocks = self.x.len() / V;
        for block in 0..blocks + 2 {
            let (this, other) = (block % 2, 1 - block % 2);
            if block < blocks {
                // SAFETY: there is such a block.
                unsafe { decode::<V, B>(&rows, block, &mut strip.codes[this]) };
            }
            if let Some(block) = block.checked_sub(2) {
                self.add(block, &strip.sums[this], &strip.scales, &mut strip.totals);
            }
            if let Some(block) = block.checked_sub(1).filter(|block| *block < blocks) {
                let x = self.x.get(block * V..(block + 1) * V).unwrap_or_default();
                let steps = x.as_chunks::<2>().0.iter().zip(strip.codes[other].as_chunks::<2>().0);
                for ((x, codes), sums) in steps.zip(strip.sums[other].as_chunks_mut::<2>().0) {
                    // SAFETY: tiles are configured.
                    unsafe { multiply(x, codes, sums) };
                }
            }
        }
        self.add_offsets(strip);
    }

    /// Exchanges outputs and groups of what there is for each.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn by_group(&self, values: Scales<'_>, output: impl Fn(usize) -> usize, to: &mut Vec<Lanes>) {
        let groups = self.layer.groups();
        to.resize(groups, Lanes::ZERO);
        for (index, to) in to.chunks_mut(TILE).enumerate() {
            let mask = u16::MAX >> (TILE - to.len());
            let of_outputs = std::array::from_fn(|lane| {
                // SAFETY: there are values for all groups of the output.
                let values = unsafe { groups::load(values, output(lane) * groups + index * TILE, mask) };
                _mm512_castps_si512(values)
            });
            for (to, of_group) in to.iter_mut().zip(transpose(of_outputs)) {
                to.store(_mm512_castsi512_ps(of_group));
            }
        }
    }

    /// Adds the sums of a block times the scales of their groups.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add(&self, block: usize, sums: &[[Sums; SIDE]; V], scales: &[Lanes], totals: &mut [Lanes]) {
        for (step, sums) in sums.iter().enumerate() {
            // Behind the last group is nothing but zeros.
            let Some(scales) = scales.get((block * V + step) / self.group) else { return };
            let scales = scales.load();
            let sums = sums.iter().flat_map(|sums| &sums.0);
            for (total, sums) in totals.iter_mut().zip(sums) {
                // SAFETY: a row of a tile is 64 bytes and aligned to them.
                let sums = unsafe { _mm512_load_ps(sums.as_ptr()) };
                total.store(_mm512_fmadd_ps(sums, scales, total.load()));
            }
        }
    }

    /// Adds the offsets times the sums of their groups of `x`.
    #[target_feature(enable = "avx512f")]
    fn add_offsets(&self, strip: &mut Strip<V, SIDE>) {
        for (total, group_sums) in strip.totals.iter_mut().zip(self.group_sums.chunks(self.layer.groups())) {
            let sum = strip.offsets.iter().zip(group_sums).fold(total.load(), |sum, (offsets, x)| {
                _mm512_fmadd_ps(offsets.load(), _mm512_set1_ps(*x), sum)
            });
            total.store(sum);
        }
    }
}

/// Decodes a block of 16 rows, in pairs: one lane after the other, each with its vectors one after the other.
///
/// # Safety
/// As [`linear`]; the rows have such a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn decode<const V: usize, B: Block<V>>(rows: &[&[u8]; TILE], block: usize, to: &mut [Tile; V]) {
    let ahead = block * BYTES + AHEAD;
    let words = std::array::from_fn(|index| {
        let row = rows[index];
        // Behind the end of a row, that of the next strip. What lies beyond the weight may be nobody's: a prefetch of it
        // does nothing.
        let ahead = if ahead < row.len() { ahead } else { ahead + (TILE - 1) * row.len() };
        _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(ahead).cast());
        // SAFETY: the caller's promise.
        unsafe { bytes::load(row, block) }
    });
    let words = transpose(words);
    for (to, words) in to.iter_mut().zip(words.chunks_exact(TILE / V)) {
        for (to, word) in to.0.as_chunks_mut::<V>().0.iter_mut().zip(words) {
            // SAFETY: the caller's promise.
            for (to, codes) in to.iter_mut().zip(unsafe { B::codes(*word) }) {
                // SAFETY: 32 bf16 are a register, and rows of tiles are aligned to theirs.
                unsafe { _mm512_store_si512(to.as_mut_ptr().cast(), as_bits(codes)) };
            }
        }
    }
}

/// The products of `x` with codes in pairs, of each of two steps.
///
/// # Safety
/// This thread has [`Registers`].
#[inline]
unsafe fn multiply<const SIDE: usize>(
    x: &[[Tile; SIDE]; 2],
    codes: &[Tile; 2],
    sums: &mut [[Sums; SIDE]; 2],
) {
    // SAFETY: reads two tiles of codes and `2 * SIDE` of `x`, and writes as many sums; the tile registers belong to nobody
    // else.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm2",
            "tileloadd tmm4, [{codes} + {line}]",
            "tileloadd tmm6, [{x} + {line}]",
            "tdpbf16ps tmm0, tmm6, tmm4",
            ".if {side} > 1",
            "tilezero tmm1",
            "tileloadd tmm7, [{x} + {line} + 1024]",
            "tdpbf16ps tmm1, tmm7, tmm4",
            ".endif",
            "tileloadd tmm5, [{codes} + {line} + 1024]",
            "tileloadd tmm6, [{x} + {line} + {side} * 1024]",
            "tdpbf16ps tmm2, tmm6, tmm5",
            ".if {side} > 1",
            "tilezero tmm3",
            "tileloadd tmm7, [{x} + {line} + 3072]",
            "tdpbf16ps tmm3, tmm7, tmm5",
            ".endif",
            "tilestored [{sums} + {line}], tmm0",
            ".if {side} > 1",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 3072], tmm3",
            ".endif",
            "tilestored [{sums} + {line} + {side} * 1024], tmm2",
            side = const SIDE,
            line = in(reg) 64usize,
            codes = in(reg) codes.as_ptr(),
            x = in(reg) x.as_ptr(),
            sums = in(reg) sums.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
