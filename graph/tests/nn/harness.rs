//! Running a composition, making inputs and comparing results.

use half::bf16;
use lapidary_graph::interp::{Tensor, evaluate};
use lapidary_graph::{BuildError, DType, FunctionBuilder, Module, ValueId, verify_program};

/// Builds `main` over parameters of the arguments' types, verifies it and evaluates it.
pub(crate) fn run<const N: usize>(
    arguments: [&Tensor; N],
    build: impl FnOnce(&mut FunctionBuilder<'_>, [ValueId; N]) -> Result<Vec<ValueId>, BuildError>,
) -> Vec<Tensor> {
    let module = built(arguments, build).unwrap_or_else(|error| panic!("{error}"));
    verify_program(&module).unwrap_or_else(|violations| panic!("{violations}"));
    let arguments: Vec<Tensor> = arguments.into_iter().cloned().collect();
    evaluate(&module, module.entry().unwrap(), &arguments).unwrap()
}

/// The same for a composition of one result.
pub(crate) fn run_one<const N: usize>(
    arguments: [&Tensor; N],
    build: impl FnOnce(&mut FunctionBuilder<'_>, [ValueId; N]) -> Result<ValueId, BuildError>,
) -> Tensor {
    run(arguments, |b, params| Ok(vec![build(b, params)?])).remove(0)
}

/// The module alone, or why it cannot be built.
pub(crate) fn built<const N: usize>(
    arguments: [&Tensor; N],
    build: impl FnOnce(&mut FunctionBuilder<'_>, [ValueId; N]) -> Result<Vec<ValueId>, BuildError>,
) -> Result<Module, BuildError> {
    let mut module = Module::new("nn");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let params = arguments.map(|argument| b.param("", argument.ty()));
    let results = build(&mut b, params)?;
    b.finish(&results);
    Ok(module)
}

/// A float tensor; elements are rounded to `dtype`.
pub(crate) fn floats(dtype: DType, dims: &[usize], values: &[f64]) -> Tensor {
    Tensor::from_floats(dtype, dims, values).unwrap()
}

/// A float tensor of noise in (-`size`, `size`).
pub(crate) fn noise(dtype: DType, dims: &[usize], size: f64, seed: u64) -> Tensor {
    let values: Vec<f64> = numbers(seed).map(|x| x * size).take(dims.iter().product()).collect();
    floats(dtype, dims, &values)
}

/// An s32 tensor.
pub(crate) fn ints(dims: &[usize], values: &[i32]) -> Tensor {
    Tensor::from_i32(dims, values).unwrap()
}

/// Endless numbers in (-1, 1), the same for the same seed (SplitMix64, Steele et al. 2014).
pub(crate) fn numbers(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// A number rounded to bf16.
pub(crate) fn to_bf16(x: f64) -> f64 {
    bf16::from_f64(x).to_f64()
}

/// A number rounded to `dtype`.
pub(crate) fn rounded(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::BF16 => to_bf16(x),
        DType::F32 => f64::from(x as f32),
        other => panic!("no rounding to {other} here"),
    }
}

/// Fails unless each element is within `tolerance * max(1, |expected|)` of what is expected.
#[track_caller]
pub(crate) fn assert_close(got: &Tensor, expected: &[f64], tolerance: f64) {
    let got = got.to_floats();
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference = (got - expected).abs();
        assert!(difference <= tolerance * expected.abs().max(1.0), "element {i}: {got}, expected {expected}");
    }
}

/// Fails unless each element is the expected number rounded to `dtype`, bit for bit.
#[track_caller]
pub(crate) fn assert_rounded_once(got: &Tensor, expected: &[f64]) {
    let elements = got.to_floats();
    assert_eq!(elements.len(), expected.len());
    for (i, (&element, &expected)) in elements.iter().zip(expected).enumerate() {
        assert_eq!(element, rounded(got.dtype(), expected), "element {i}, {expected} before rounding");
    }
}

/// Fails unless the composition is refused by the op `op`.
#[track_caller]
pub(crate) fn assert_refused<const N: usize>(
    op: &str,
    arguments: [&Tensor; N],
    build: impl FnOnce(&mut FunctionBuilder<'_>, [ValueId; N]) -> Result<ValueId, BuildError>,
) {
    let error = built(arguments, |b, params| Ok(vec![build(b, params)?])).unwrap_err();
    assert_eq!(error.op, op, "{error}");
}
