//! How an array lies in memory: order of dimensions, tiles, memory space.

use serde::Serialize;

/// A dimension of a tile that is merged with the next more minor one before it is tiled (`*` in HLO text).
pub const COMBINED: i64 = i64::MIN;

/// Layout of an array.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Layout {
    /// Dimensions from the fastest varying to the slowest; one for each dimension of the array.
    pub minor_to_major: Vec<usize>,
    /// Tiles, the one applied first in front; the sizes of each from major to minor, or [`COMBINED`].
    pub tiles: Vec<Vec<i64>>,
    /// Width of an element if it is not that of the type, as for packed `s4`; 0 if it is.
    pub element_bits: u64,
    /// Where the array lives; what the numbers mean is the platform's affair. 0 is the main memory.
    pub memory_space: i64,
    /// The number of elements in memory is a multiple of this; 1 if it may be any.
    pub tail_alignment: u64,
}

impl Layout {
    /// Elements that an array of these dimensions takes up in memory, padding included. `None` if the layout
    /// does not fit the dimensions or the number is beyond 64 bits.
    ///
    /// A tile `(t1, .., tk)` cuts the `k` minor dimensions of what came before into tiles: `(.., d1, .., dk)`
    /// becomes `(.., ceil(d1/t1), .., ceil(dk/tk), t1, .., tk)`, and the next tile cuts that (XLA's "Tiled layout").
    pub(crate) fn padded_elements(&self, dimensions: &[u64]) -> Option<u64> {
        let mut physical: Vec<u64> = match self.minor_to_major.is_empty() {
            true => dimensions.to_vec(),
            false => {
                let major_to_minor = self.minor_to_major.iter().rev();
                major_to_minor.map(|&dimension| dimensions.get(dimension).copied()).collect::<Option<_>>()?
            }
        };
        for tile in &self.tiles {
            physical = tiled(physical, tile)?;
        }
        let elements = product(&physical)?;
        elements.checked_next_multiple_of(self.tail_alignment.max(1))
    }
}

/// The dimensions after one tile.
fn tiled(mut dimensions: Vec<u64>, tile: &[i64]) -> Option<Vec<u64>> {
    // A tile of more dimensions than the array has sees leading ones of size 1.
    let missing = tile.len().saturating_sub(dimensions.len());
    dimensions.splice(0..0, std::iter::repeat_n(1, missing));

    let minor = dimensions.split_off(dimensions.len() - tile.len());
    let mut sizes = Vec::with_capacity(tile.len());
    let mut combined = 1_u64;
    for (size, &extent) in minor.into_iter().zip(tile) {
        let size = size.checked_mul(combined)?;
        if extent == COMBINED {
            combined = size;
            continue;
        }
        combined = 1;
        let extent = u64::try_from(extent).ok().filter(|&extent| extent > 0)?;
        dimensions.push(size.div_ceil(extent));
        sizes.push(extent);
    }
    dimensions.extend(sizes);
    Some(dimensions)
}

pub(crate) fn product(sizes: &[u64]) -> Option<u64> {
    // Zero first: an empty array is empty however long its other sides are.
    if sizes.contains(&0) {
        return Some(0);
    }
    sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size))
}
