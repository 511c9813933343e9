//! Rotary position embedding.

use lapidary_graph::interp::Tensor;
use lapidary_graph::{DType, nn};

use crate::harness::{assert_close, assert_refused, floats, ints, noise, run, run_one};

/// `x` `[batch, seq, heads, width]` with each half-split pair rotated, at f64 angles.
fn rope(x: &Tensor, positions: &[i32], theta: f64) -> Vec<f64> {
    let [.., heads, width] = *x.dims() else { panic!("{x:?}") };
    let x = x.to_floats();
    let half = width / 2;
    let mut result = vec![0.0; x.len()];
    for (row, start) in (0..x.len()).step_by(width).enumerate() {
        let position = f64::from(positions[row / heads]);
        for i in 0..half {
            let angle = position / theta.powf((2 * i) as f64 / width as f64);
            let (a, b) = (x[start + i], x[start + half + i]);
            result[start + i] = a * angle.cos() - b * angle.sin();
            result[start + half + i] = b * angle.cos() + a * angle.sin();
        }
    }
    result
}

fn rotated(x: &Tensor, positions: &Tensor, theta: f64) -> Tensor {
    let width = *x.dims().last().unwrap();
    run_one([x, positions], |b, [x, positions]| {
        let tables = nn::rope_tables(b, positions, width, theta)?;
        nn::rope(b, x, tables)
    })
}

#[test]
fn pairs_are_half_a_head_apart() {
    // The first element of a head turns into the middle one, not into its neighbour, by 1 radian a position.
    let x = floats(DType::F32, &[1, 1, 1, 6], &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let turned = rotated(&x, &ints(&[1, 1], &[1]), 10_000.0);
    let (sin, cos) = 1f64.sin_cos();
    assert_close(&turned, &[cos, 0.0, 0.0, sin, 0.0, 0.0], 1e-7);
}

#[test]
fn rope_rotates_each_row_by_its_own_position() {
    let positions = [0, 1, 2, 30, 7, 6, 5, 4];
    for (heads, width, theta) in [(1, 2, 10_000.0), (3, 14, 10_000.0), (5, 32, 500.0)] {
        let x = noise(DType::F32, &[2, 4, heads, width], 2.0, width as u64);
        let turned = rotated(&x, &ints(&[2, 4], &positions), theta);
        assert_eq!(turned.ty(), x.ty());
        assert_close(&turned, &rope(&x, &positions, theta), 1e-5);
    }
}

#[test]
fn position_zero_is_the_identity() {
    let x = noise(DType::BF16, &[1, 2, 3, 16], 5.0, 1);
    assert_eq!(rotated(&x, &ints(&[1, 2], &[0, 0]), 10_000.0), x);
}

#[test]
fn large_positions_keep_the_precision_of_f32_angles() {
    let positions = [4095, 4096, 8190, 8191];
    let x = noise(DType::F32, &[1, 4, 2, 256], 1.0, 2);
    let turned = rotated(&x, &ints(&[1, 4], &positions), 10_000.0);
    // Half a unit in the last place of the frequency, and half of the angle: 2^-23 of at most 8191 radians.
    let tolerance = 8191.0 * 2f64.powi(-23) * 2f64.sqrt();
    assert_close(&turned, &rope(&x, &positions, 10_000.0), tolerance);
    // Angles in bf16, the well-known mistake, are off by whole turns there.
    let mistaken: Vec<i32> = positions.iter().map(|p| p + 1).collect();
    let far = rope(&x, &mistaken, 10_000.0);
    assert!(turned.to_floats().iter().zip(far).any(|(a, b)| (a - b).abs() > 0.5));
}

#[test]
fn bf16_is_rotated_in_f32_and_rounded_once() {
    let positions = [100, 101, 102, 103, 104, 105];
    let x = noise(DType::BF16, &[2, 3, 3, 14], 4.0, 3);
    let turned = rotated(&x, &ints(&[2, 3], &positions), 10_000.0);
    assert_eq!(turned.dtype(), DType::BF16);
    // The result of the f32 rotation, rounded: what f32 angles do is the previous test's business.
    let wide = floats(DType::F32, x.dims(), &x.to_floats());
    let wide = rotated(&wide, &ints(&[2, 3], &positions), 10_000.0);
    assert_eq!(turned, floats(DType::BF16, x.dims(), &wide.to_floats()));
}

#[test]
fn scores_depend_on_distance_alone() {
    let (q, k) = (noise(DType::F32, &[1, 1, 1, 32], 1.0, 4), noise(DType::F32, &[1, 1, 1, 32], 1.0, 5));
    let score = |at: i32, key_at: i32| -> f64 {
        let (q, k) = (rotated(&q, &ints(&[1, 1], &[at]), 1e4), rotated(&k, &ints(&[1, 1], &[key_at]), 1e4));
        q.to_floats().iter().zip(k.to_floats()).map(|(q, k)| q * k).sum()
    };
    for distance in [0, 1, 5, 100] {
        assert!((score(distance, 0) - score(distance + 3000, 3000)).abs() < 5e-3);
    }
    assert!((score(0, 0) - score(1, 0)).abs() > 1e-2);
}

#[test]
fn tables_are_cosines_and_sines_of_half_a_head_for_each_half() {
    let positions = ints(&[2, 3], &[0, 1, 2, 3, 4, 5]);
    let tables = run([&positions], |b, [positions]| {
        let tables = nn::rope_tables(b, positions, 10, 10_000.0)?;
        Ok(vec![tables.cos, tables.sin])
    });
    let angle = |i: usize| (i / 10) as f64 / 10_000f64.powf((2 * (i % 5)) as f64 / 10.0);
    let sin = |i: usize| if i % 10 < 5 { -angle(i).sin() } else { angle(i).sin() };
    let expected: [Vec<f64>; 2] = [(0..60).map(|i| angle(i).cos()).collect(), (0..60).map(sin).collect()];
    for (table, expected) in tables.iter().zip(expected) {
        assert_eq!((table.dtype(), table.dims()), (DType::F32, &[2, 3, 10][..]));
        assert_close(table, &expected, 1e-6);
    }
}

#[test]
fn heads_that_cannot_be_halved_are_refused() {
    let (x, positions) = (noise(DType::F32, &[1, 1, 1, 5], 1.0, 6), ints(&[1, 1], &[1]));
    assert_refused("broadcast_in_dim", [&x, &positions], |b, [x, positions]| {
        let tables = nn::rope_tables(b, positions, 8, 10_000.0)?;
        nn::rope(b, x, tables)
    });
    assert_refused("broadcast_in_dim", [&x, &positions], |b, [x, positions]| {
        let tables = nn::rope_tables(b, positions, 5, 10_000.0)?;
        nn::rope(b, x, tables)
    });
}
