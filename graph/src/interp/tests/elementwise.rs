use super::{f32, one, s32};
use crate::element::Scalar;
use crate::interp::Tensor;
use crate::op::{BinaryKind, Comparison, UnaryKind};
use crate::{DType, Op};

fn converted(from: Tensor, to: DType) -> Vec<i128> {
    one(Op::Convert { to }, &[from]).to_ints()
}

#[test]
fn conversions_to_integers_truncate_and_saturate_as_on_xla() {
    let extreme = || f32(&[7], &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.9, -3.9, 1e20, -129.0]);
    assert_eq!(converted(extreme(), DType::S8), [0, 127, -128, 3, -3, 127, -128]);
    assert_eq!(converted(extreme(), DType::U8), [0, 255, 0, 3, 0, 255, 0]);
    let max = i128::from(u64::MAX);
    assert_eq!(converted(extreme(), DType::U64), [0, max, 0, 3, 0, max, 0]);
    assert_eq!(converted(s32(&[3], &[300, -1, 2]), DType::U8), [44, 255, 2]);
    let pred = one(Op::Convert { to: DType::Pred }, &[f32(&[4], &[f32::NAN, 0.3, 0.0, -0.0])]);
    assert_eq!(pred.to_ints(), [1, 1, 0, 0]);
}

#[test]
fn conversions_to_floats_round() {
    let floats = |t: &Tensor, to| one(Op::Convert { to }, std::slice::from_ref(t)).to_floats();
    assert_eq!(floats(&s32(&[2], &[16_777_217, -3]), DType::F32), [16_777_216.0, -3.0]);
    assert_eq!(floats(&f32(&[3], &[257.0, 258.9, 259.0]), DType::BF16), [256.0, 258.0, 260.0]);
    assert_eq!(floats(&f32(&[1], &[1e6]), DType::F16), [f64::INFINITY]);
}

#[test]
fn select_and_clamp_broadcast_scalars() {
    let (low, high) = (f32(&[], &[-1.0]), f32(&[3], &[1.0, 0.5, 0.25]));
    let clamped = one(Op::Clamp, &[low, f32(&[3], &[-9.0, 2.0, 0.0]), high]);
    assert_eq!(clamped.to_floats(), [-1.0, 0.5, 0.0]);
    let (a, b) = (s32(&[2], &[1, 2]), s32(&[2], &[3, 4]));
    let pred = |dims: &[usize], values: &[i64]| Tensor::from_ints(DType::Pred, dims, values).unwrap();
    assert_eq!(one(Op::Select, &[pred(&[], &[1]), a.clone(), b.clone()]).to_ints(), [1, 2]);
    assert_eq!(one(Op::Select, &[pred(&[2], &[0, 1]), a, b]).to_ints(), [3, 2]);
}

#[test]
fn comparisons_and_classes_give_pred() {
    let (a, b) = (f32(&[3], &[1.0, f32::NAN, -0.0]), f32(&[3], &[2.0, f32::NAN, 0.0]));
    let compare = |direction, total_order| {
        one(Op::Compare { direction, total_order }, &[a.clone(), b.clone()]).to_ints()
    };
    assert_eq!(compare(Comparison::Eq, false), [0, 0, 1]);
    assert_eq!(compare(Comparison::Eq, true), [0, 1, 0]);
    let finite = one(Op::Unary { kind: UnaryKind::IsFinite }, &[f32(&[3], &[1.0, f32::NAN, f32::INFINITY])]);
    assert_eq!((finite.dtype(), finite.to_ints()), (DType::Pred, vec![1, 0, 0]));
}

#[test]
fn sums_of_f32_are_correctly_rounded() {
    let (a, b) = ([0.1f32, 1e8, 3.4e38], [0.2f32, 1.0, 3.4e38]);
    let sum = one(Op::Binary { kind: BinaryKind::Add }, &[f32(&[3], &a), f32(&[3], &b)]);
    let expected: Vec<f64> = a.iter().zip(b).map(|(a, b)| f64::from(a + b)).collect();
    assert_eq!(sum.to_floats(), expected);
}

#[test]
fn bitcasts_split_and_join_little_endian() {
    let bitcast = |t: Tensor, to| one(Op::BitcastConvert { to }, &[t]);
    let ints = |dtype, dims: &[usize], values: &[i64]| Tensor::from_ints(dtype, dims, values).unwrap();
    let bytes = bitcast(ints(DType::U32, &[], &[0x0102_0304]), DType::U8);
    super::assert_ints(&bytes, &[4], &[4, 3, 2, 1]);
    super::assert_ints(&bitcast(bytes, DType::U32), &[], &[0x0102_0304]);
    let nibbles = bitcast(ints(DType::U8, &[2], &[0x12, 0xf0]), DType::S4);
    super::assert_ints(&nibbles, &[2, 2], &[2, 1, 0, -1]);
    super::assert_ints(&bitcast(nibbles, DType::S8), &[2], &[0x12, -16]);
    super::assert_ints(&bitcast(f32(&[1], &[1.0]), DType::S32), &[1], &[0x3f80_0000]);
    // The specification's example.
    let wide = Tensor::scalar(DType::F64, Scalar::Float(f64::from_bits(0x0123_4567_89AB_CDEF)));
    let halves = bitcast(bitcast(wide, DType::F16), DType::U16);
    super::assert_ints(&halves, &[4], &[0xCDEF, 0x89AB, 0x4567, 0x0123]);
}

#[test]
fn tensors_survive_bytes_and_literals() {
    for dtype in DType::ALL {
        let tensor = Tensor::from_ints(dtype, &[2, 2], &[0, 1, 1, 0]).unwrap();
        assert_eq!(Tensor::from_bytes(tensor.ty(), &tensor.to_bytes()).unwrap(), tensor);
        assert_eq!(Tensor::from_literal(&tensor.to_literal().unwrap()).unwrap(), tensor);
    }
    assert!(Tensor::from_f32(&[3], &[1.0]).is_err());
    assert!(Tensor::from_f32(&[usize::MAX, 0], &[]).is_err(), "empty, but beyond an address space");
}
