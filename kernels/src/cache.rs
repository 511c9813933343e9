//! Writing keys or values into a KV cache.

/// Sizes of a write into a cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheWriteShape {
    /// Sequences.
    pub batch: usize,
    /// Tokens of each sequence that are written.
    pub tokens: usize,
    /// Heads of the cache.
    pub kv_heads: usize,
    /// Slots of the cache.
    pub slots: usize,
    /// Elements of a head: one if a slot holds a scale for each.
    pub head_dim: usize,
}

/// A slice that is not of the size that the shape says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{operand} of a cache: {found} elements, not {expected}")]
pub struct CacheWriteError {
    operand: &'static str,
    expected: usize,
    found: usize,
}

impl CacheWriteShape {
    fn check(&self, cache: usize, update: usize, slots: usize) -> Result<(), CacheWriteError> {
        let size = |factors: &[usize]| factors.iter().copied().fold(1, usize::saturating_mul);
        let sizes = [
            ("the elements", size(&[self.batch, self.kv_heads, self.slots, self.head_dim]), cache),
            ("the update", size(&[self.batch, self.tokens, self.kv_heads, self.head_dim]), update),
            ("the update's slots", size(&[self.batch, self.tokens]), slots),
        ];
        match sizes.into_iter().find(|(_, expected, found)| expected != found) {
            Some((operand, expected, found)) => Err(CacheWriteError { operand, expected, found }),
            None => Ok(()),
        }
    }
}

/// Writes `update` `[batch, tokens, kv_heads, head_dim]` into the `slots` `[batch, tokens]` of `cache` `[batch, kv_heads,
/// slots, head_dim]`, elements of any type; tokens whose slot the cache does not have are left out, and nothing else is touched.
///
/// # Errors
/// If a slice has another size than `shape` says; nothing is then written.
pub fn cache_write<T: Copy>(
    shape: CacheWriteShape,
    cache: &mut [T],
    update: &[T],
    slots: &[i32],
) -> Result<(), CacheWriteError> {
    shape.check(cache.len(), update.len(), slots.len())?;
    let CacheWriteShape { tokens, kv_heads, slots: len, head_dim, .. } = shape;
    let token = kv_heads * head_dim;
    if token == 0 || tokens == 0 || len == 0 {
        return Ok(());
    }
    let rows = cache.chunks_exact_mut(token * len).zip(update.chunks_exact(tokens * token));
    for ((cache, update), slots) in rows.zip(slots.chunks_exact(tokens)) {
        for (update, &slot) in update.chunks_exact(token).zip(slots) {
            let Some(slot) = usize::try_from(slot).ok().filter(|&slot| slot < len) else { continue };
            let heads = cache.chunks_exact_mut(len * head_dim).zip(update.chunks_exact(head_dim));
            for (cache, update) in heads {
                if let Some(place) = cache.get_mut(slot * head_dim..(slot + 1) * head_dim) {
                    place.copy_from_slice(update);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    const SHAPE: CacheWriteShape =
        CacheWriteShape { batch: 2, tokens: 3, kv_heads: 2, slots: 5, head_dim: 3 };

    fn numbers(from: u16, count: usize) -> Vec<bf16> {
        (0..count as u16).map(|i| bf16::from_bits(from + i)).collect()
    }

    #[test]
    fn tokens_go_into_their_slots_and_nothing_else_changes() {
        let before = numbers(0, 2 * 2 * 5 * 3);
        let update = numbers(1000, 2 * 3 * 2 * 3);
        // Slots that the cache does not have, on either side.
        let slots = [4, 5, 0, -1, 2, i32::MAX];
        let mut cache = before.clone();
        cache_write(SHAPE, &mut cache, &update, &slots).unwrap();
        for (at, (&found, &old)) in cache.iter().zip(&before).enumerate() {
            let (i, slot, head, row) = (at % 3, at / 3 % 5, at / 15 % 2, at / 30);
            let token = slots[row * 3..][..3].iter().position(|&s| s == slot as i32);
            let expected = token.map_or(old, |token| update[((row * 3 + token) * 2 + head) * 3 + i]);
            assert_eq!(found, expected, "row {row}, head {head}, slot {slot}, element {i}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let (mut cache, update) = (numbers(0, 60), numbers(1000, 36));
        let error = cache_write(SHAPE, &mut cache, &update[1..], &[0; 6]).unwrap_err();
        assert_eq!(error.to_string(), "the update of a cache: 35 elements, not 36");
        assert!(cache_write(SHAPE, &mut cache[1..], &update, &[0; 6]).is_err());
        assert!(cache_write(SHAPE, &mut cache, &update, &[0; 5]).is_err());
        assert_eq!(cache, numbers(0, 60));
    }

    #[test]
    fn nothing_is_written_of_nothing() {
        let empty = CacheWriteShape { tokens: 0, ..SHAPE };
        cache_write(empty, &mut numbers(0, 60), &[], &[]).unwrap();
    }
}
