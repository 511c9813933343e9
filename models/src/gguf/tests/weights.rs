//! Blocks to codes, scales and offsets, against the values that ggml's own Python package decodes them to.

use std::path::Path;

use half::f16;
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::file::GgufFile;
use super::model::{config, metadata, with_weights};
use super::opened;
use crate::checkpoint::Repack;
use crate::dtype::{StoredDtype, TensorDtype};
use crate::encoding::{Encoding, Groups, WeightPart};
use crate::gguf::blocks::{CodeWidth, Format};
use crate::gguf::repack::{FromBlocks, LessOne};
use crate::gguf::tensor_type::TensorType;

/// The types that are read, by ggml's numbers.
const BLOCK_TYPES: [u32; 12] = [2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23];

fn format(id: u32) -> &'static Format {
    match TensorType::of(id).unwrap() {
        TensorType::Blocks(format) => format,
        TensorType::Dense(dtype) => panic!("{dtype}"),
    }
}

fn part(format: &'static Format, part: WeightPart, blocks: &[u8]) -> Vec<u8> {
    let count = blocks.len() / format.bytes;
    let groups = format.elements / format.group;
    let len = match part {
        WeightPart::Values => 0,
        WeightPart::Codes => format.codes.bytes(format.elements),
        WeightPart::Scales => groups * format.scales.size(),
        WeightPart::Offsets => groups * size_of::<f32>(),
    };
    // What is not written would show.
    let mut out = vec![0xa5; count * len];
    FromBlocks { format, part }.repack(blocks, &mut out);
    out
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The codes as numbers.
fn codes(format: &'static Format, blocks: &[u8]) -> Vec<f32> {
    let codes = part(format, WeightPart::Codes, blocks);
    match format.codes {
        CodeWidth::Eight => codes.iter().map(|code| f32::from(code.cast_signed())).collect(),
        CodeWidth::Four => {
            codes.iter().flat_map(|byte| [byte & 15, byte >> 4]).map(|code| f32::from(code) - 8.0).collect()
        }
    }
}

fn scales(format: &'static Format, blocks: &[u8]) -> Vec<f32> {
    let scales = part(format, WeightPart::Scales, blocks);
    match format.scales {
        StoredDtype::F32 => floats(&scales),
        StoredDtype::F16 => {
            scales.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        StoredDtype::Bf16 => panic!("no block has bf16 scales"),
    }
}

fn offsets(format: &'static Format, blocks: &[u8]) -> Vec<f32> {
    match format.has_offsets {
        true => floats(&part(format, WeightPart::Offsets, blocks)),
        false => vec![0.0; blocks.len() / format.bytes * format.elements / format.group],
    }
}

#[test]
fn codes_times_scales_are_what_ggml_decodes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/gguf-blocks/blocks.safetensors");
    let file = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&file).unwrap();
    for id in BLOCK_TYPES {
        let format = format(id);
        let blocks = golden.tensor(&format!("{}.blocks", format.name)).unwrap().data();
        let expected = floats(golden.tensor(&format!("{}.values", format.name)).unwrap().data());
        let (codes, scales) = (codes(format, blocks), scales(format, blocks));
        let offsets = offsets(format, blocks);
        assert_eq!(codes.len(), expected.len(), "{}", format.name);
        for (at, (code, expected)) in codes.iter().zip(&expected).enumerate() {
            let (scale, offset) = (scales[at / format.group], offsets[at / format.group]);
            let found = scale * code + offset;
            // Without offsets there is one product, rounded once on either side; with them, the differences round
            // relative to their terms.
            let magnitude = (scale * code).abs() + offset.abs();
            let allowed = if format.has_offsets { magnitude * 2.0 * f32::EPSILON } else { 0.0 };
            assert!((found - expected).abs() <= allowed, "{} {at}: {found} {expected}", format.name);
        }
    }
}

#[test]
fn codes_use_all_their_values() {
    for (id, range) in
        [(2, -8..=7), (6, -16..=15), (8, -128..=127), (14, -32..=31), (11, -4..=3), (10, 0..=3)]
    {
        let format = format(id);
        let noise: Vec<u8> = (0..format.bytes * 64).map(|at| (at * 167 + at / 251 * 13) as u8).collect();
        let codes = codes(format, &noise);
        let least = codes.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = codes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!((least as i32, greatest as i32), (*range.start(), *range.end()), "{}", format.name);
    }
}

/// Threads share the work; what they make does not tell.
#[test]
fn large_tensors_are_repacked_like_small_ones() {
    for id in [2, 8, 14] {
        let format = format(id);
        let one: Vec<u8> = (0..format.bytes * 7).map(|at| (at * 89 + 3) as u8).collect();
        let times = (5 << 20) / one.len();
        for what in [WeightPart::Codes, WeightPart::Scales] {
            let expected = part(format, what, &one).repeat(times);
            assert!(part(format, what, &one.repeat(times)) == expected, "{} {what:?}", format.name);
        }
    }
}

#[test]
fn weights_become_the_tensors_that_programs_take() {
    let config = config();
    for id in BLOCK_TYPES {
        let format = format(id);
        let checkpoint = opened(&with_weights(metadata(&config), &config, id)).unwrap();
        let name = "model.layers.1.mlp.down_proj.weight";
        let packed = format!("{name}_packed");
        let (codes, dtype, dims) = match format.codes {
            CodeWidth::Eight => (name, TensorDtype::I8, [256, 256]),
            CodeWidth::Four => (packed.as_str(), TensorDtype::U8, [256, 128]),
        };
        let codes = checkpoint.tensor(codes).unwrap();
        assert_eq!((codes.dtype(), codes.dims()), (dtype, dims.as_slice()), "{}", format.name);
        assert_eq!(codes.bytes().len(), codes.byte_count());
        let scales = checkpoint.tensor(&format!("{name}_scale")).unwrap();
        assert_eq!(scales.dims(), [256, 256 / format.group], "{}", format.name);
        assert_eq!(scales.bytes().len(), scales.byte_count());
        let offsets = checkpoint.tensor(&format!("{name}_offset"));
        assert_eq!(offsets.is_some(), format.has_offsets, "{}", format.name);

        let weight =
            crate::weights::weight_specs(&config).into_iter().find(|weight| weight.name == name).unwrap();
        let groups = Groups { size: format.group, scales: format.scales, offsets: format.has_offsets };
        let expected = match format.codes {
            CodeWidth::Eight => Encoding::Int8(groups),
            CodeWidth::Four => Encoding::Int4(groups),
        };
        assert_eq!(checkpoint.config().encodings.of(&weight), expected);
    }
}

#[test]
fn norms_lose_the_one_that_converters_add() {
    let config = config();
    let file: GgufFile = with_weights(metadata(&config), &config, 8);
    let checkpoint = opened(&file).unwrap();
    let norm = checkpoint.tensor("model.layers.0.post_feedforward_layernorm.weight").unwrap();
    assert_eq!((norm.dtype(), norm.dims()), (StoredDtype::F32.into(), [256].as_slice()));
    assert!(floats(&norm.bytes()).iter().all(|weight| *weight == 0.0));
}

proptest! {
    /// What a converter does to a weight of a norm is undone to within its own rounding.
    #[test]
    fn norms_survive_the_round_trip(weights in prop::collection::vec(-3.0_f32..30.0, 1..20)) {
        let stored: Vec<u8> = weights.iter().flat_map(|weight| (weight + 1.0).to_le_bytes()).collect();
        let mut out = vec![0; stored.len()];
        LessOne { stored: StoredDtype::F32 }.repack(&stored, &mut out);
        for (found, weight) in floats(&out).iter().zip(&weights) {
            prop_assert!((found - weight).abs() <= (weight.abs() + 1.0) * f32::EPSILON);
        }
    }
}
