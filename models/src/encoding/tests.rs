use std::collections::HashMap;
use std::ops::Range;

use super::*;
use crate::config::GemmaConfig;
use crate::weights::{WeightRole, weight_specs, weight_tensors};

const BF16: StoredDtype = StoredDtype::Bf16;

fn up() -> WeightSpec {
    WeightSpec::new(&GemmaConfig::tiny(), WeightRole::Up, Some(1))
}

fn groups(size: usize) -> Groups {
    Groups { size, scales: BF16, offsets: false }
}

type Tensors = HashMap<String, (TensorDtype, Vec<usize>)>;

/// What the tensors of a weight tell, after `edit`.
fn told(encoding: Encoding, edit: impl FnOnce(&mut Tensors)) -> Result<Encoding, String> {
    let weight = up();
    let tensors = weight.tensors(encoding).into_iter();
    let mut tensors: Tensors =
        tensors.map(|tensor| (tensor.name, (tensor.dtype.unwrap_or(BF16.into()), tensor.dims))).collect();
    edit(&mut tensors);
    let find = |name: &str| tensors.get(name).map(|(dtype, dims)| (*dtype, dims.as_slice()));
    Encoding::of_tensors(&weight, &find).map_err(|problem| problem.to_string())
}

#[test]
fn tensors_tell_their_own_encoding() {
    let with_offsets = Groups { size: 32, scales: StoredDtype::F32, offsets: true };
    for encoding in [
        Encoding::Dense,
        Encoding::Int8(groups(64)),
        Encoding::Int8(groups(16)),
        Encoding::Int4(groups(2)),
        Encoding::Int4(with_offsets),
    ] {
        assert_eq!(told(encoding, |_| ()), Ok(encoding));
    }
    let names: Vec<String> =
        up().tensors(Encoding::Int4(with_offsets)).into_iter().map(|tensor| tensor.name).collect();
    let module = "model.layers.1.mlp.up_proj";
    assert_eq!(
        names,
        ["weight_packed", "weight_scale", "weight_offset"].map(|part| format!("{module}.{part}"))
    );
}

#[test]
fn what_is_no_weight_is_named() {
    const SCALES: &str = "model.layers.1.mlp.up_proj.weight_scale";
    const CODES: &str = "model.layers.1.mlp.up_proj.weight_packed";
    let int4 = Encoding::Int4(groups(32));
    let refused = |edit: fn(&mut Tensors)| told(int4, edit).unwrap_err();
    let missing = refused(|tensors| drop(tensors.remove(SCALES)));
    assert!(missing.contains(CODES) && missing.contains(SCALES), "{missing}");
    for dims in [vec![192], vec![192, 0], vec![192, 3], vec![191, 2], vec![192, 2, 1], vec![192, 64]] {
        let message = told(int4, |tensors| tensors.get_mut(SCALES).unwrap().1 = dims.clone()).unwrap_err();
        assert!(message.contains(SCALES) && message.contains(&format!("{dims:?}")), "{message}");
        assert!(message.contains("[192, groups]") && message.contains("64 inputs"), "{message}");
    }
    let whole_numbers = refused(|tensors| tensors.get_mut(SCALES).unwrap().0 = TensorDtype::I8);
    assert!(whole_numbers.contains("is of i8, but must be of f32, bf16 or f16"), "{whole_numbers}");
    let narrow = refused(|tensors| tensors.get_mut(CODES).unwrap().1 = vec![192, 31]);
    assert!(narrow.contains("[192, 31], expected [192, 32]"), "{narrow}");
    let nothing = refused(HashMap::clear);
    assert!(nothing.contains("no `model.layers.1.mlp.up_proj.weight`"), "{nothing}");
}

#[test]
fn schemes_are_written_as_they_are_read() {
    for text in ["bf16", "int8", "int8:32", "int4:64"] {
        assert_eq!(text.parse::<WeightScheme>().unwrap().to_string(), text);
    }
    assert_eq!("int4".parse::<WeightScheme>().unwrap(), WeightScheme::Int4 { group: 64 });
    for text in
        ["", "int3", "int4:", "int4:0", "int4:7", "int4:-2", "bf16:32", "INT8", "int4:99999999999999999999"]
    {
        let message = text.parse::<WeightScheme>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{text}`")), "{message}");
    }
}

#[test]
fn one_rule_serves_all_matrices() {
    let mut config = GemmaConfig::named("gemma2-2b").unwrap();
    config.encodings = Encodings::uniform(&config, WeightScheme::Int4 { group: 128 }).unwrap();
    for weight in weight_specs(&config) {
        let expected = match (weight.role, weight.dims.len()) {
            (WeightRole::Embedding, _) => Encoding::Int8(groups(2304)),
            (_, 2) => Encoding::Int4(groups(128)),
            _ => Encoding::Dense,
        };
        assert_eq!(config.encodings.of(&weight), expected, "{}", weight.name);
    }
    let embedding = 256_000 * (2304 + 2);
    let projections = config.parameter_count() - 256_000 * 2304 - (4 * 26 + 1) * 2304;
    assert_eq!(
        config.weight_bytes(BF16),
        embedding + projections / 2 + projections / 64 + (4 * 26 + 1) * 2304 * 2
    );
    assert_eq!(weight_tensors(&config).len(), weight_specs(&config).len() + 26 * 7 + 1);

    let refused =
        Encodings::uniform(&config, WeightScheme::Int8 { group: Some(100) }).unwrap_err().to_string();
    assert!(refused.contains("groups of 100 do not divide the 2304 inputs"), "{refused}");
}

#[test]
fn differences_are_told_in_words() {
    let config = GemmaConfig::tiny();
    let int8 = Encodings::uniform(&config, WeightScheme::Int8 { group: None }).unwrap();
    assert_eq!(int8.difference("here", &int8.clone(), "there"), None);
    let mut other = int8.clone();
    other.set(&up(), Encoding::Dense);
    assert_eq!(
        int8.difference("here", &other, "there").unwrap(),
        "model.layers.1.mlp.up_proj.weight is int8 in groups of 64 with bf16 scales here and dense there"
    );
    let all = Encodings::default().difference("here", &int8, "there").unwrap();
    assert!(all.ends_with(", and 14 more weights differ"), "{all}");
    assert_eq!(Encodings::default().to_string(), "dense");
    assert_eq!(int8.to_string(), "int8 in groups of 64 with bf16 scales");
}

#[test]
fn what_programs_take_tells_how_it_is_stored() {
    let with_offsets = Groups { size: 32, scales: StoredDtype::F32, offsets: true };
    let weight = up();
    for (encoding, codes, dtype) in [
        (Encoding::Int8(groups(64)), vec![192, 64], TensorDtype::I8),
        (Encoding::Int8(groups(16)), vec![4, 192, 16], TensorDtype::I8),
        (Encoding::Int8(Groups { size: 64, ..with_offsets }), vec![1, 192, 64], TensorDtype::I8),
        (Encoding::Int4(groups(64)), vec![1, 192, 64], TensorDtype::I4),
        (Encoding::Int4(with_offsets), vec![2, 192, 32], TensorDtype::I4),
    ] {
        let tensors = weight.arranged(encoding, Arrangement::Groups);
        assert_eq!((&tensors[0].dims, tensors[0].dtype), (&codes, Some(dtype)));
        let names = |tensors: &[WeightTensor]| tensors.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&tensors), names(&weight.tensors(encoding)));
        let find = |name: &str| {
            let found = tensors.iter().find(|tensor| tensor.name == name)?;
            Some((found.dtype?, found.dims.as_slice()))
        };
        let arrangement = if codes.len() == 3 { Arrangement::Groups } else { Arrangement::Rows };
        assert_eq!(Encoding::of_parameters(&weight, &find), Ok((encoding, arrangement)));
        let arranged = tensors.iter().all(|tensor| tensor.arrangement == arrangement);
        assert!(arranged, "{encoding}");
    }
    assert_eq!(weight.arranged(Encoding::Dense, Arrangement::Groups), weight.tensors(Encoding::Dense));
}

/// Every part, also one that begins and ends within a byte, at the start of an array that may be larger.
#[test]
fn parts_by_groups_have_the_elements_of_rows() {
    let [outputs, inputs] = [3, 12];
    let weight = WeightSpec { dims: vec![outputs, inputs], ..up() };
    let noise = |len: usize| (0..len).map(|i| (i * 37 + i / 7) as u8).collect::<Vec<u8>>();
    let f16 = |size| Groups { size, scales: StoredDtype::F16, offsets: true };
    for (encoding, groups) in
        [(Encoding::Int8(f16(4)), 3), (Encoding::Int4(f16(6)), 2), (Encoding::Int4(f16(12)), 1)]
    {
        let group = inputs / groups;
        for (stored, wanted) in
            weight.tensors(encoding).into_iter().zip(weight.arranged(encoding, Arrangement::Groups))
        {
            let size = wanted.dtype.unwrap().size();
            let rows = noise(stored.byte_count(BF16) as usize);
            // The bytes of one element.
            let element = |g: usize, o: usize, k: usize| match (wanted.part, wanted.dtype.unwrap()) {
                (WeightPart::Codes, TensorDtype::I4) => {
                    let at = o * inputs + g * group + k;
                    vec![((rows[at / 2] >> (4 * (at % 2))) & 15).wrapping_sub(8)]
                }
                (WeightPart::Codes, _) => vec![rows[o * inputs + g * group + k]],
                _ => rows[(o * groups + g) * size..][..size].to_vec(),
            };
            let within: Vec<Range<usize>> = match wanted.part {
                WeightPart::Codes => vec![0..group, 1..group, 1..2, 2..group - 1],
                _ => std::iter::once(0..1).collect(),
            };
            for (g, o, k) in within.iter().flat_map(|k| {
                [(0..groups, 0..outputs), (groups - 1..groups, 1..3)].map(|(g, o)| (g, o, k.clone()))
            }) {
                let held = [g.len() + 1, o.len() + 1, k.len() + usize::from(within.len() > 1)];
                let rank = wanted.dims.len();
                let mut out = vec![99; held[..rank].iter().product::<usize>() * size];
                let mut expected = out.clone();
                for (at, g) in g.clone().enumerate() {
                    for (row, o) in o.clone().enumerate() {
                        for (column, k) in k.clone().enumerate() {
                            let at = ((at * held[1] + row) * held[2] + column) * size;
                            expected[at..at + size].copy_from_slice(&element(g, o, k));
                        }
                    }
                }
                let ranges = [g, o, k];
                let part = TensorPart { ranges: &ranges[..rank], held: &held[..rank] };
                assert_eq!(wanted.regroup(&rows, part, &mut out), Some(()));
                assert_eq!(out, expected, "{encoding} {:?} {ranges:?}", wanted.part);
                assert_eq!(wanted.regroup(&rows[1..], part, &mut out), None);
                assert_eq!(stored.regroup(&rows, part, &mut out), None);
            }
        }
    }
}

/// Threads share the work; what they make does not tell.
#[test]
fn large_tensors_are_regrouped_like_small_ones() {
    let [outputs, inputs] = [1024, 5 * 1024];
    let weight = WeightSpec { dims: vec![outputs, inputs], ..up() };
    let wanted = weight.arranged(Encoding::Int8(groups(64)), Arrangement::Groups).remove(0);
    let rows: Vec<u8> = (0..outputs * inputs).map(|i| (i % 251) as u8).collect();
    let mut out = vec![0; rows.len()];
    let ranges: Vec<_> = wanted.dims.iter().map(|&dim| 0..dim).collect();
    wanted.regroup(&rows, TensorPart { ranges: &ranges, held: &wanted.dims }, &mut out).unwrap();
    let regrouped = out.iter().enumerate().all(|(at, &code)| {
        let (g, o, k) = (at / (64 * outputs), at / 64 % outputs, at % 64);
        code == rows[o * inputs + g * 64 + k]
    });
    assert!(regrouped);
}
