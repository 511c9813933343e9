//! How far batch and context can grow.

use serde::Serialize;

use super::layout::Layout;
use super::{Sizes, memory};

/// Most sequences that are planned for: enough for any device, few enough to count their bytes.
pub(super) const MAX_BATCH: usize = 1 << 20;

/// How far batch and context can grow on the same mesh; 0 if not even one fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Limits {
    /// Most sequences of the context asked for.
    pub batch: usize,
    /// Longest context for the batch asked for; at most the model's.
    pub context: usize,
    /// The model's own context.
    pub model_context: usize,
}

impl Limits {
    pub(super) fn find(layout: &Layout<'_>, sizes: &Sizes, available: u64) -> Self {
        let fits = |sizes: &Sizes| memory(layout, sizes, None).total_bytes <= available;
        let model_context = layout.config.context;
        let (batch, context) = (sizes.decode.batch, sizes.decode.capacity);
        Self {
            batch: largest(MAX_BATCH, |batch| fits(&sizes.with(batch, context))),
            context: largest(model_context, |context| fits(&sizes.with(batch, context))),
            model_context,
        }
    }
}

/// The largest number up to `max` that fits, if whatever is smaller than one that fits does too; 0 if none does.
fn largest(max: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut fitting, mut too_large) = (0, max + 1);
    while too_large - fitting > 1 {
        let middle = fitting + (too_large - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            too_large = middle;
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn the_largest_is_found_at_every_place() {
        for limit in 0..=9 {
            assert_eq!(largest(9, |n| n <= limit), limit);
        }
        assert_eq!(largest(9, |n| n <= 100), 9);
    }
}
