//! Whole numbers for weights: how many bits, and which numbers they hold.

use std::fmt;

/// Size of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bits {
    /// A byte, -127 to 127: symmetric, so that no weight's negative needs another scale.
    Eight,
    /// Half a byte, -8 to 7: of so few levels none is given up.
    Four,
}

impl Bits {
    /// The number itself.
    pub const fn count(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Four => 4,
        }
    }

    pub(super) const fn levels(self) -> Levels {
        match self {
            Self::Eight => Levels { low: -127.0, high: 127.0 },
            Self::Four => Levels { low: -8.0, high: 7.0 },
        }
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "int{}", self.count())
    }
}

/// The least and the greatest code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Levels {
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Levels {
    /// The code nearest to `value`, ties to even; `value` is a weight over its scale.
    #[inline(always)]
    pub(super) fn nearest(self, value: f32) -> f32 {
        // Adding it leaves no bits for a fraction. Unlike `round_ties_even`, this is two instructions everywhere.
        const NO_FRACTION: f32 = 1.5 * (1 << 23) as f32;
        (value.max(self.low).min(self.high) + NO_FRACTION) - NO_FRACTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_level() {
        for bits in [Bits::Four, Bits::Eight] {
            let levels = bits.levels();
            for value in (-3000..3000).map(|step| step as f32 / 20.0) {
                let expected = value.round_ties_even().clamp(levels.low, levels.high);
                assert_eq!(levels.nearest(value), expected, "{value}");
            }
        }
    }
}
