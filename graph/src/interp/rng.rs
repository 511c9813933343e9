//! Counter-based random bits, the same bits as XLA's.
//!
//! Both generators are those of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
//! What XLA adds is how the state becomes a key and counters, and how words become elements; that is a
//! choice of its compiler rather than of the specification, observed on its CPU backend.

use super::Limits;
use super::error::{Fault, ensure};
use super::index::{advance, strides};
use super::tensor::Tensor;
use crate::element::{self, Scalar};
use crate::op::RngAlgorithm;
use crate::{DType, TensorType};

/// The new state and the bits. `DEFAULT` is Philox, as XLA has it on CPU and GPU.
pub(super) fn rng_bit_generator(
    algorithm: RngAlgorithm,
    state: &Tensor,
    result: &TensorType,
    limits: &Limits,
) -> Result<Vec<Tensor>, Fault> {
    limits.admit(result)?;
    ensure(state.dtype() == DType::U64, || format!("state {} is not u64", state.ty()))?;
    ensure(result.dtype.is_integer(), || format!("bits as {result}, not as integers"))?;
    let words: Vec<u64> = state.scalars().map(|word| element::to_bits(DType::U64, word)).collect();
    let (new_state, bits) = match (algorithm, state.dims(), words.as_slice()) {
        (RngAlgorithm::ThreeFry, [2], &[key, counter]) => {
            let (counter, bits) = three_fry(key, counter, result);
            (vec![key, counter], bits)
        }
        // A state of two words doubles the key as the upper half of the counter and does not update it.
        (RngAlgorithm::Philox | RngAlgorithm::Default, [2], &[key, low]) => {
            let (counter, bits) = philox(key, wide(low, key), result);
            (vec![key, counter as u64], bits)
        }
        (RngAlgorithm::Philox | RngAlgorithm::Default, [3], &[key, low, high]) => {
            let (counter, bits) = philox(key, wide(low, high), result);
            (vec![key, counter as u64, (counter >> 64) as u64], bits)
        }
        _ => {
            return Err(Fault::mismatch(format!("{} takes no state of {}", algorithm.name(), state.ty())));
        }
    };
    let tensor = |ty: &TensorType, words: Vec<u64>| {
        // Narrow elements keep the low bits of a whole word.
        Tensor::from_scalars(ty.clone(), words.into_iter().map(|word| Scalar::Int(i128::from(word))))
    };
    Ok(vec![tensor(&state.ty(), new_state)?, tensor(result, bits)?])
}

fn wide(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The low and the high word.
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The next counter and one word an element.
fn three_fry(key: u64, counter: u64, result: &TensorType) -> (u64, Vec<u64>) {
    let block = |offset: usize| three_fry_2x32(halves(counter.wrapping_add(offset as u64)), halves(key));
    let count = result.num_elements();
    if result.dtype.bits() == 64 {
        let bits = (0..count).map(block).map(|[low, high]| join(low, high)).collect();
        return (counter.wrapping_add(count as u64), bits);
    }
    // Neighbours along one dimension share a block of two words: the first dimension of even size, or else
    // the first of the greatest size. Blocks count row-major over the shape with that dimension halved.
    let mut dims = result.dims.clone();
    if dims.is_empty() {
        dims.push(1);
    }
    let greatest = dims.iter().copied().max();
    let split = dims.iter().position(|size| size % 2 == 0);
    let split = split.or_else(|| dims.iter().position(|&size| Some(size) == greatest)).unwrap_or(0);
    let mut half_dims = dims.clone();
    if let Some(size) = half_dims.get_mut(split) {
        *size = size.div_ceil(2);
    }
    let half_strides = strides(&half_dims);
    let mut index = vec![0; dims.len()];
    let bits = (0..count)
        .map(|_| {
            let in_half = |(dim, (&at, stride)): (usize, (&usize, &usize))| {
                stride * if dim == split { at / 2 } else { at }
            };
            let [first, second] = block(index.iter().zip(&half_strides).enumerate().map(in_half).sum());
            let odd = index.get(split).is_some_and(|at| at % 2 == 1);
            advance(&mut index, &dims);
            u64::from(if odd { second } else { first })
        })
        .collect();
    let blocks: usize = half_dims.iter().product();
    (counter.wrapping_add(blocks as u64), bits)
}

/// Threefry-2x32 with 20 rounds.
fn three_fry_2x32(counter: [u32; 2], key: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    const PARITY: u32 = 0x1BD1_1BDA;
    let [k0, k1] = key;
    let keys = [k0, k1, PARITY ^ k0 ^ k1];
    let [mut x, mut y] = [counter[0].wrapping_add(k0), counter[1].wrapping_add(k1)];
    for group in 0..5usize {
        for rotation in ROTATIONS[group % 2] {
            x = x.wrapping_add(y);
            y = x ^ y.rotate_left(rotation);
        }
        x = x.wrapping_add(keys[(group + 1) % 3]);
        y = y.wrapping_add(keys[(group + 2) % 3]).wrapping_add(group as u32 + 1);
    }
    [x, y]
}

/// The next counter and one word an element.
fn philox(key: u64, counter: u128, result: &TensorType) -> (u128, Vec<u64>) {
    let count = result.num_elements();
    let per_block = if result.dtype.bits() == 64 { 2 } else { 4 };
    let blocks = count.div_ceil(per_block);
    let bits = (0..blocks).flat_map(|block| {
        let [a, b, c, d] = philox_4x32(counter.wrapping_add(block as u128), halves(key));
        if per_block == 2 { vec![join(a, b), join(c, d)] } else { [a, b, c, d].map(u64::from).to_vec() }
    });
    (counter.wrapping_add(blocks as u128), bits.take(count).collect())
}

/// Philox-4x32 with 10 rounds.
fn philox_4x32(counter: u128, key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let [[mut a, mut b], [mut c, mut d]] = [halves(counter as u64), halves((counter >> 64) as u64)];
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let [low0, high0] = halves(u64::from(a) * MULTIPLIERS[0]);
        let [low1, high1] = halves(u64::from(c) * MULTIPLIERS[1]);
        [a, b, c, d] = [high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0];
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [a, b, c, d]
}
