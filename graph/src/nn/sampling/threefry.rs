//! Threefry-2x32 with 20 rounds, in operations on u32.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. It needs nothing but
//! sums, rotations and exclusive ors, which every target has for whole vectors, and its words are a pure function of
//! key and counter, so that any device can make any of them.

use crate::op::BinaryKind;
use crate::{BuildError, FunctionBuilder, ValueId};

const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
/// The key schedule's parity constant, from Skein.
const PARITY: u32 = 0x1BD1_1BDA;
/// Rounds come in groups of four, between which parts of the key are added.
const GROUPS: usize = 5;

/// The two words of each element for its two-word `key` and `counter`; all u32 tensors of one shape.
///
/// # Errors
/// If they are not.
pub fn threefry_2x32(
    b: &mut FunctionBuilder<'_>,
    key: [ValueId; 2],
    counter: [ValueId; 2],
) -> Result<[ValueId; 2], BuildError> {
    let ty = b.ty(key[0])?;
    let parity = b.splat(f64::from(PARITY), &ty)?;
    let mixed = b.binary(BinaryKind::Xor, key[0], key[1])?;
    let keys = [key[0], key[1], b.binary(BinaryKind::Xor, mixed, parity)?];
    let [mut x, mut y] = [b.add(counter[0], keys[0])?, b.add(counter[1], keys[1])?];
    for group in 0..GROUPS {
        for rotation in ROTATIONS[group % 2] {
            x = b.add(x, y)?;
            y = rotate_left(b, y, rotation)?;
            y = b.binary(BinaryKind::Xor, x, y)?;
        }
        x = b.add(x, keys[(group + 1) % 3])?;
        y = b.add(y, keys[(group + 2) % 3])?;
        let number = b.splat((group + 1) as f64, &ty)?;
        y = b.add(y, number)?;
    }
    Ok([x, y])
}

fn rotate_left(b: &mut FunctionBuilder<'_>, x: ValueId, by: u32) -> Result<ValueId, BuildError> {
    let ty = b.ty(x)?;
    let (left, right) = (b.splat(f64::from(by), &ty)?, b.splat(f64::from(u32::BITS - by), &ty)?);
    let high = b.binary(BinaryKind::ShiftLeft, x, left)?;
    let low = b.binary(BinaryKind::ShiftRightLogical, x, right)?;
    b.or(high, low)
}
