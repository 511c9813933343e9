//! The ring buffer against a model that writes one token at a time.

use lapidary_graph::interp::Tensor;
use lapidary_graph::{DType, nn};

use crate::harness::{assert_refused, floats, ints, noise, run};

const HEADS: usize = 2;
const WIDTH: usize = 3;

/// A ring of `len` slots after `tokens` tokens: the position in each slot.
fn naive_ring(len: usize, tokens: usize) -> Vec<Option<usize>> {
    let mut ring = vec![None; len];
    for position in 0..tokens {
        ring[position % len] = Some(position);
    }
    ring
}

/// What stands for position `position`'s vector in one head, different everywhere.
fn element(row: usize, position: usize, head: usize, i: usize) -> f64 {
    (((row * 32 + position) * HEADS + head) * WIDTH + i + 1) as f64
}

/// A cache `[rows, heads, len, width]` that holds what the rings say, and -1 in empty slots.
fn cache_of(rings: &[Vec<Option<usize>>], len: usize) -> Tensor {
    let mut values = Vec::new();
    for (row, ring) in rings.iter().enumerate() {
        for head in 0..HEADS {
            for slot in ring {
                let of = |i| slot.map_or(-1.0, |position| element(row, position, head, i));
                values.extend((0..WIDTH).map(of));
            }
        }
    }
    floats(DType::F32, &[rings.len(), HEADS, len, WIDTH], &values)
}

/// Every state of a ring and every step that can meet it, all rows of one program.
#[test]
fn a_step_leaves_the_ring_as_single_writes_would() {
    for len in 1..=5 {
        for seq in 1..=7 {
            let rows: Vec<(usize, usize)> =
                (0..=2 * len + 1).flat_map(|start| (0..=seq).map(move |count| (start, count))).collect();
            check_steps(len, seq, &rows);
            // Few rows of one token are written another way.
            rows.chunks(5).filter(|_| seq == 1).for_each(|rows| check_steps(len, seq, rows));
        }
    }
}

fn check_steps(len: usize, seq: usize, rows: &[(usize, usize)]) {
    let batch = rows.len();
    let column = |of: &dyn Fn(&(usize, usize)) -> usize| -> Tensor {
        ints(&[batch], &rows.iter().map(|row| of(row) as i32).collect::<Vec<_>>())
    };
    let (start, count) = (column(&|row| row.0), column(&|row| row.1));
    let before: Vec<_> = rows.iter().map(|&(start, _)| naive_ring(len, start)).collect();
    let after: Vec<_> = rows.iter().map(|&(start, count)| naive_ring(len, start + count)).collect();
    let mut update = Vec::new();
    for (row, &(start, count)) in rows.iter().enumerate() {
        for offset in 0..seq {
            for head in 0..HEADS {
                // Padding is NaN: it must leave no trace.
                let of = |i| if offset < count { element(row, start + offset, head, i) } else { f64::NAN };
                update.extend((0..WIDTH).map(of));
            }
        }
    }
    let update = floats(DType::F32, &[batch, seq, HEADS, WIDTH], &update);
    let cache = cache_of(&before, len);

    let results = run([&cache, &update, &start, &count], |b, [cache, update, start, count]| {
        let write = nn::cache_slots(b, start, count, seq, len)?;
        let end = b.add(start, count)?;
        Ok(vec![
            nn::cache_write(b, cache, update, write)?,
            nn::cache_positions(b, start, len)?,
            nn::cache_positions(b, end, len)?,
            write.slots,
        ])
    });
    let [written, positions_before, positions_after, slots] = results.as_slice() else { panic!() };

    let label = format!("len {len}, seq {seq}");
    assert_eq!(*written, cache_of(&after, len), "{label}");
    for (positions, rings) in [(positions_before, &before), (positions_after, &after)] {
        assert_eq!((positions.dtype(), positions.dims()), (DType::S32, &[batch, len][..]));
        for (positions, ring) in positions.to_ints().chunks(len).zip(rings) {
            for (&position, slot) in positions.iter().zip(ring) {
                match slot {
                    Some(expected) => assert_eq!(position, *expected as i128, "{label}: {ring:?}"),
                    None => assert!(position < 0, "{label}: {position} in an empty slot of {ring:?}"),
                }
            }
        }
    }
    // No slot is written twice: scatter leaves the order of such writes open.
    for (slots, &(start, count)) in slots.to_ints().chunks(seq).zip(rows) {
        let mut real: Vec<i128> = slots.iter().copied().filter(|&slot| slot < len as i128).collect();
        assert_eq!(real.len(), count.min(len), "{label} start {start} count {count}");
        real.sort_unstable();
        real.dedup();
        assert_eq!(real.len(), count.min(len), "{label} start {start} count {count}: {slots:?}");
    }
}

#[test]
fn a_ring_in_order_ends_with_the_last_position() {
    for len in 1..=5 {
        let ends: Vec<usize> = (0..=3 * len + 1).collect();
        let rings: Vec<_> = ends.iter().map(|&end| naive_ring(len, end)).collect();
        let (cache, end) =
            (cache_of(&rings, len), ints(&[ends.len()], &ends.iter().map(|&e| e as i32).collect::<Vec<_>>()));
        let results = run([&cache, &end], |b, [cache, end]| {
            let (ordered, positions) = nn::cache_in_order(b, cache, end)?;
            Ok(vec![ordered, positions])
        });
        let position = |row: usize, slot: usize| (ends[row] + slot).checked_sub(len);
        let in_order: Vec<Vec<Option<usize>>> =
            (0..ends.len()).map(|row| (0..len).map(|slot| position(row, slot)).collect()).collect();
        assert_eq!(results[0], cache_of(&in_order, len), "len {len}");
        for (positions, row) in results[1].to_ints().chunks(len).zip(&in_order) {
            for (&got, slot) in positions.iter().zip(row) {
                assert!(
                    slot.map_or(got < 0, |position| got == position as i128),
                    "len {len}: {got}, {slot:?}"
                );
            }
        }
    }
}

#[test]
fn positions_reach_the_end_of_the_context() {
    let end = ints(&[3], &[8191, 8192, 4096]);
    let positions = run([&end], |b, [end]| Ok(vec![nn::cache_positions(b, end, 4096)?])).remove(0);
    for (row, end) in positions.to_ints().chunks(4096).zip([8191, 8192, 4096]) {
        let expected = naive_ring(4096, end);
        assert!(row.iter().zip(expected).all(|(&got, slot)| slot.map(|p| p as i128) == Some(got)), "{end}");
    }
}

#[test]
fn updates_are_rounded_to_the_caches_dtype() {
    let cache = floats(DType::BF16, &[1, HEADS, 4, WIDTH], &[0.0; 4 * HEADS * WIDTH]);
    let update = noise(DType::F32, &[1, 1, HEADS, WIDTH], 1.0, 1);
    let (start, count) = (ints(&[1], &[2]), ints(&[1], &[1]));
    let results = run([&cache, &update, &start, &count], |b, [cache, update, start, count]| {
        let write = nn::cache_slots(b, start, count, 1, 4)?;
        // Twice in one module: the scatter's body is made once.
        let once = nn::cache_write(b, cache, update, write)?;
        Ok(vec![once, nn::cache_write(b, once, update, write)?])
    });
    let narrow = floats(DType::BF16, &[HEADS, WIDTH], &update.to_floats()).to_floats();
    for written in results {
        assert_eq!(written.ty(), cache.ty());
        for (head, slots) in written.to_floats().chunks(4 * WIDTH).enumerate() {
            assert_eq!(slots[2 * WIDTH..3 * WIDTH], narrow[head * WIDTH..][..WIDTH]);
            assert_eq!(slots.iter().filter(|&&x| x != 0.0).count(), WIDTH);
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let cache = noise(DType::F32, &[2, 2, 4, 3], 1.0, 2);
    let (start, count) = (ints(&[2], &[0, 0]), ints(&[2], &[1, 1]));
    let others =
        [[2, 1, 3, 3], [2, 1, 2, 4], [1, 1, 2, 3], [3, 1, 2, 3], [2, 1, 3, 2], [2, 2, 2, 4], [2, 3, 2, 3]];
    for dims in others {
        let update = noise(DType::F32, &dims, 1.0, 3);
        assert_refused("scatter", [&cache, &update, &start, &count], |b, [cache, update, start, count]| {
            let write = nn::cache_slots(b, start, count, dims[1].min(2), 4)?;
            nn::cache_write(b, cache, update, write)
        });
    }
    let (update, flat) = (noise(DType::F32, &[2, 1, 2, 3], 1.0, 4), noise(DType::F32, &[2, 2, 12], 1.0, 5));
    assert_refused("scatter", [&flat, &update, &start, &count], |b, [cache, update, start, count]| {
        let write = nn::cache_slots(b, start, count, 1, 4)?;
        nn::cache_write(b, cache, update, write)
    });
    let short = ints(&[1], &[0]);
    assert_refused("broadcast_in_dim", [&start, &ints(&[3], &[1; 3])], |b, [start, count]| {
        Ok(nn::cache_slots(b, start, count, 1, 4)?.slots)
    });
    let floating = floats(DType::F32, &[1], &[0.0]);
    assert_refused("add", [&floating, &short], |b, [start, count]| {
        Ok(nn::cache_slots(b, start, count, 1, 4)?.slots)
    });
}
