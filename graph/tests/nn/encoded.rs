//! Weights in few bits: products, rows of embeddings, and what is refused.

use lapidary_graph::interp::Tensor;
use lapidary_graph::nn::{self, EncodedWeight};
use lapidary_graph::{BuildError, DType, FunctionBuilder, Op, TensorType, ValueId};

use crate::harness::{assert_close, assert_refused, built, floats, ints, noise, numbers, rounded, run_one};

/// A matrix in few bits, and the numbers that it stands for.
struct Encoded {
    codes: Tensor,
    scales: Tensor,
    offsets: Tensor,
    /// `[out, in]`, in f32.
    numbers: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Bits {
    Eight,
    Four,
}

/// Random codes over the whole range of their bits, extremes included, `inputs / group` scales for each output, and as
/// many offsets, which are zero if they are not asked for.
fn encoded(bits: Bits, [outputs, inputs]: [usize; 2], group: usize, scale: DType, offset: f64) -> Encoded {
    let (least, greatest) = match bits {
        Bits::Eight => (-128, 127),
        Bits::Four => (-8, 7),
    };
    let middle = f64::from(greatest) + 0.5;
    let mut codes: Vec<i64> = numbers(1)
        .map(|x| ((x * middle).round_ties_even() as i64).clamp(least, greatest.into()))
        .take(outputs * inputs)
        .collect();
    codes[0] = least;
    codes[1] = greatest.into();
    let groups = [outputs, inputs / group];
    let scales = noise(scale, &groups, 0.1, 2);
    let offsets = noise(DType::F32, &groups, offset, 3);
    let (scale, offset) = (scales.to_floats(), offsets.to_floats());
    let number = |(i, code): (usize, &i64)| {
        let product = (*code as f64 * scale[i / group]) as f32;
        f64::from(product + offset[i / group] as f32)
    };
    let numbers = codes.iter().enumerate().map(number).collect();
    let codes = match bits {
        Bits::Eight => Tensor::from_ints(DType::S8, &[outputs, inputs], &codes),
        Bits::Four => {
            let bytes: Vec<i64> = codes.chunks(2).map(|pair| (pair[0] + 8) + ((pair[1] + 8) << 4)).collect();
            Tensor::from_ints(DType::U8, &[outputs, inputs / 2], &bytes)
        }
    };
    Encoded { codes: codes.unwrap(), scales, offsets, numbers }
}

fn plain(codes: ValueId, scales: ValueId) -> EncodedWeight {
    EncodedWeight { codes, scales, offsets: None }
}

/// Sizes that are odd, wherever they can be, and groups of one size each: `[out, in]` and the group.
const SHAPES: [([usize; 2], usize); 6] =
    [([1, 2], 2), ([3, 6], 6), ([3, 6], 3), ([5, 6], 2), ([7, 30], 5), ([5, 64], 32)];

#[test]
fn a_product_of_codes_is_that_of_the_numbers_they_stand_for() {
    for bits in [Bits::Eight, Bits::Four] {
        for (dims @ [outputs, inputs], group) in SHAPES {
            for (leading, dtype, scale) in [
                (&[][..], DType::F32, DType::F32),
                (&[3], DType::BF16, DType::BF16),
                (&[2, 3], DType::BF16, DType::F16),
                (&[2, 3], DType::F32, DType::BF16),
            ] {
                for offset in [0.0, 1.0] {
                    let weight = encoded(bits, dims, group, scale, offset);
                    let x = noise(dtype, &[leading, &[inputs]].concat(), 2.0, 4);
                    let product = match offset > 0.0 {
                        false => run_one([&x, &weight.codes, &weight.scales], |b, [x, codes, scales]| {
                            nn::linear(b, x, plain(codes, scales), DType::F32)
                        }),
                        true => {
                            let arguments = [&x, &weight.codes, &weight.scales, &weight.offsets];
                            run_one(arguments, |b, [x, codes, scales, offsets]| {
                                let weight = EncodedWeight { codes, scales, offsets: Some(offsets) };
                                nn::linear(b, x, weight, DType::F32)
                            })
                        }
                    };
                    let case = format!("{bits:?} {dims:?} in {group}s, {leading:?} {dtype} {scale} {offset}");
                    assert_eq!(product.dims(), [leading, &[outputs]].concat(), "{case}");
                    println!("{case}");
                    // A scale for each output multiplies the product: no number of the weight is rounded.
                    let rounds = group < inputs || offset > 0.0;
                    let numbers = if rounds { as_rounded(dtype, &weight.numbers) } else { weight.numbers };
                    assert_close(&product, &reference(&x, &numbers, inputs), 1e-6);
                }
            }
        }
    }
}

fn as_rounded(dtype: DType, numbers: &[f64]) -> Vec<f64> {
    numbers.iter().map(|&number| rounded(dtype, number)).collect()
}

fn reference(x: &Tensor, weight: &[f64], inputs: usize) -> Vec<f64> {
    let x = x.to_floats();
    let row = |row: &[f64]| -> Vec<f64> {
        weight.chunks(inputs).map(|w| row.iter().zip(w).map(|(x, w)| x * w).sum()).collect()
    };
    x.chunks(inputs).flat_map(row).collect()
}

/// The same weight by groups: codes as S8 or S4 `[groups, out, group]`, scales and offsets `[groups, out]`.
fn by_groups(bits: Bits, dims: [usize; 2], group: usize, scale: DType, offset: f64) -> Encoded {
    let [outputs, inputs] = dims;
    let groups = inputs / group;
    let weight = encoded(bits, dims, group, scale, offset);
    let codes: Vec<i64> = match bits {
        Bits::Eight => weight.codes.to_ints().into_iter().map(|code| code as i64).collect(),
        Bits::Four => weight
            .codes
            .to_ints()
            .into_iter()
            .flat_map(|byte| [(byte & 15) as i64 - 8, (byte >> 4) as i64 - 8])
            .collect(),
    };
    let at = |g: usize, o: usize, i: usize| codes[o * inputs + g * group + i];
    let order = (0..groups).flat_map(|g| (0..outputs).map(move |o| (g, o)));
    let codes: Vec<i64> = order.clone().flat_map(|(g, o)| (0..group).map(move |i| at(g, o, i))).collect();
    let turned = |tensor: &Tensor| {
        let values = tensor.to_floats();
        let values: Vec<f64> = order.clone().map(|(g, o)| values[o * groups + g]).collect();
        floats(tensor.dtype(), &[groups, outputs], &values)
    };
    let dtype = if bits == Bits::Eight { DType::S8 } else { DType::S4 };
    Encoded {
        codes: Tensor::from_ints(dtype, &[groups, outputs, group], &codes).unwrap(),
        scales: turned(&weight.scales),
        offsets: turned(&weight.offsets),
        numbers: weight.numbers,
    }
}

#[test]
fn a_weight_by_groups_gives_the_same_products() {
    for bits in [Bits::Eight, Bits::Four] {
        for (dims @ [outputs, inputs], group) in SHAPES {
            // Few rows scale the sums of groups, many decode the weight.
            for (leading, dtype) in
                [(&[][..], DType::F32), (&[3], DType::BF16), (&[2, 3], DType::F32), (&[2, 20], DType::BF16)]
            {
                for offset in [0.0, 1.0] {
                    let weight = by_groups(bits, dims, group, DType::BF16, offset);
                    let x = noise(dtype, &[leading, &[inputs]].concat(), 2.0, 4);
                    let arguments = [&x, &weight.codes, &weight.scales, &weight.offsets];
                    let product = run_one(arguments, |b, [x, codes, scales, offsets]| {
                        let offsets = (offset > 0.0).then_some(offsets);
                        nn::linear(b, x, EncodedWeight { codes, scales, offsets }, DType::F32)
                    });
                    assert_eq!(product.dims(), [leading, &[outputs]].concat());
                    let expected = reference(&x, &weight.numbers, inputs);
                    let absolute = |numbers: &[f64]| numbers.iter().map(|x| x.abs()).collect::<Vec<_>>();
                    let magnitudes = floats(DType::F64, x.dims(), &absolute(&x.to_floats()));
                    let magnitudes = reference(&magnitudes, &absolute(&weight.numbers), inputs);
                    // A bf16 has eight bits, and either the numbers or the sums of groups are rounded to it.
                    let unit = if dtype == DType::BF16 { 1.0 / 256.0 } else { 1e-6 };
                    let found = product.to_floats();
                    for ((found, expected), magnitude) in found.iter().zip(&expected).zip(&magnitudes) {
                        let case = format!("{bits:?} {dims:?} in {group}s, {leading:?} {dtype} {offset}");
                        let tolerance = unit * magnitude.max(1.0);
                        assert!(
                            (found - expected).abs() <= tolerance,
                            "{case}: {found}, expected {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_have_their_first_element_in_the_low_half() {
    // 8 is zero.
    let codes = Tensor::from_ints(DType::U8, &[1, 2], &[0x98, 0xf0]).unwrap();
    let scales = floats(DType::F32, &[1, 1], &[0.5]);
    let identity =
        floats(DType::F32, &[4, 4], &[1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1.]);
    let product = run_one([&identity, &codes, &scales], |b, [x, codes, scales]| {
        nn::linear(b, x, plain(codes, scales), DType::F32)
    });
    assert_eq!(product.to_floats(), [0.0, 0.5, -4.0, 3.5]);
}

#[test]
fn an_encoded_product_is_a_composite_of_its_parts() {
    let weight = encoded(Bits::Four, [3, 6], 2, DType::BF16, 1.0);
    let x = noise(DType::BF16, &[2, 6], 1.0, 5);
    let composite = |with_offsets: bool| {
        let arguments = [&x, &weight.codes, &weight.scales, &weight.offsets];
        let module = built(arguments, |b, [x, codes, scales, offsets]| {
            let weight = EncodedWeight { codes, scales, offsets: with_offsets.then_some(offsets) };
            Ok(vec![nn::linear(b, x, weight, DType::F32)?])
        });
        let module = module.unwrap();
        let main = module.function(module.entry().unwrap()).unwrap();
        let [operation] = main.ops.as_slice() else { panic!("{module}") };
        let Op::Composite { name, attributes, .. } = &operation.op else { panic!("{module}") };
        assert_eq!((name.as_str(), attributes.len()), ("lapidary.quantized_linear", 0));
        operation.operands.iter().map(|operand| operand.index()).collect::<Vec<_>>()
    };
    assert_eq!(composite(false), [0, 1, 2]);
    assert_eq!(composite(true), [0, 1, 2, 3]);
}

#[test]
fn rows_of_an_encoded_table_are_decoded_once_they_are_taken() {
    let ids = [0, 6, 3, 3, -1, i32::MAX];
    for (bits, group) in [(Bits::Eight, 10), (Bits::Four, 10), (Bits::Four, 5)] {
        for (dtype, arranged) in [
            (DType::BF16, encoded as fn(_, _, _, _, _) -> _),
            (DType::F32, encoded),
            (DType::BF16, by_groups),
            (DType::F32, by_groups),
        ] {
            let table: Encoded = arranged(bits, [7, 10], group, DType::BF16, 1.0);
            let arguments = [&table.codes, &table.scales, &table.offsets, &ints(&[2, 3], &ids)];
            let rows = run_one(arguments, |b, [codes, scales, offsets, ids]| {
                let table = EncodedWeight { codes, scales, offsets: Some(offsets) };
                let rows = nn::embed(b, table, ids, dtype)?;
                assert_eq!(b.ty(rows)?, TensorType::new(dtype, [2, 3, 10]));
                Ok(rows)
            });
            let row = |&id: &i32| table.numbers[10 * id.clamp(0, 6) as usize..][..10].to_vec();
            let expected: Vec<f64> = ids.iter().flat_map(row).map(|x| rounded(dtype, x)).collect();
            assert_eq!(rows.to_floats(), expected, "{bits:?} {dtype}");
        }
    }
}

#[test]
fn rows_of_a_dense_table_come_in_the_type_that_is_asked_for() {
    let table = noise(DType::BF16, &[7, 3], 1.0, 6);
    let rows =
        run_one([&table, &ints(&[1, 1], &[2])], |b, [table, ids]| nn::embed(b, table, ids, DType::F32));
    assert_eq!((rows.dtype(), rows.to_floats()), (DType::F32, table.to_floats()[6..9].to_vec()));
}

fn refusal(
    x: &[usize],
    codes: (DType, &[usize]),
    scales: (DType, &[usize]),
    offsets: &[usize],
) -> BuildError {
    let zeros = |(dtype, dims): (DType, &[usize])| {
        Tensor::from_ints(dtype, dims, &vec![0; dims.iter().product()]).unwrap()
    };
    let float_zeros = |dtype, dims| noise(dtype, dims, 0.0, 0);
    let scales = match scales.0.is_float() {
        true => float_zeros(scales.0, scales.1),
        false => zeros(scales),
    };
    let arguments = [&float_zeros(DType::F32, x), &zeros(codes), &scales, &float_zeros(DType::F32, offsets)];
    let linear = |b: &mut FunctionBuilder<'_>, [x, codes, scales, offsets]: [ValueId; 4]| {
        let weight = EncodedWeight { codes, scales, offsets: Some(offsets) };
        Ok(vec![nn::linear(b, x, weight, DType::F32)?])
    };
    built(arguments, linear).unwrap_err()
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    fn s8(dims: &[usize]) -> (DType, &[usize]) {
        (DType::S8, dims)
    }
    fn f32(dims: &[usize]) -> (DType, &[usize]) {
        (DType::F32, dims)
    }
    let cases: [(BuildError, &str); 12] = [
        (
            refusal(&[1, 6], (DType::S16, &[3, 6]), f32(&[3, 1]), &[3, 1]),
            "`encoded weight` at main on (s16[3,6], f32[3,1], f32[3,1]): `inputs[0]` has element type s16, expected \
             s8 or u8",
        ),
        (
            refusal(&[1, 6], s8(&[3, 6]), (DType::S32, &[3, 1]), &[3, 1]),
            "`inputs[1]` has element type s32, expected a float type",
        ),
        (refusal(&[1, 6], s8(&[3, 6]), f32(&[3]), &[3]), "`inputs[1]` is f32[3] of rank 1, expected rank 2"),
        (
            refusal(&[1, 6], s8(&[3, 6]), f32(&[1, 1]), &[1, 1]),
            "axis 0 of `inputs[1]` has size 1, expected 3 like axis 0 of `inputs[0]`",
        ),
        (
            refusal(&[1, 6], s8(&[3, 6]), f32(&[3, 2]), &[3, 1]),
            "`inputs[2]` is f32[3,1], expected the dimensions of `inputs[1]`, f32[3,2]: size 1 against 2 on axis 1",
        ),
        (
            refusal(&[1, 6], (DType::U8, &[2, 3, 3]), f32(&[2, 3]), &[2, 3]),
            "`inputs[0]` has element type u8, expected s4 or s8",
        ),
        (refusal(&[1, 6], s8(&[2, 3, 3]), f32(&[2, 3, 1]), &[2, 3]), "of rank 3, expected rank 2"),
        (
            refusal(&[1, 6], s8(&[2, 3, 3]), f32(&[2, 4]), &[2, 4]),
            "axis 1 of `inputs[1]` has size 4, expected 3 like axis 1 of `inputs[0]`",
        ),
        // Groups that do not divide a row, and none.
        (
            refusal(&[1, 6], s8(&[3, 6]), f32(&[3, 4]), &[3, 4]),
            "f32[3,4,1] has 12 elements, but f32[3,6] has 18",
        ),
        (
            refusal(&[1, 6], s8(&[3, 6]), f32(&[3, 0]), &[3, 0]),
            "f32[3,0,0] has 0 elements, but f32[3,6] has 18",
        ),
        // Of an odd number of inputs there are no codes of 4 bits.
        (
            refusal(&[1, 5], (DType::U8, &[3, 3]), f32(&[3, 1]), &[3, 1]),
            "axis 1 of `rhs` has size 6, expected 5 like axis 1 of `lhs`",
        ),
        (
            refusal(&[1, 4], s8(&[3, 6]), f32(&[3, 1]), &[3, 1]),
            "axis 1 of `rhs` has size 6, expected 4 like axis 1 of `lhs`",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.to_string().contains(expected), "{error}\nlacks: {expected}");
    }
}

#[test]
fn an_encoded_table_of_one_dimension_is_refused() {
    let codes = Tensor::from_ints(DType::S8, &[6], &[0; 6]).unwrap();
    let scales = floats(DType::F32, &[1], &[1.0]);
    assert_refused("gather", [&codes, &scales, &ints(&[1, 1], &[0])], |b, [codes, scales, ids]| {
        nn::embed(b, plain(codes, scales), ids, DType::F32)
    });
}
