//! Every way for a file to be unsound is told apart, and none of them makes the reader panic.

use proptest::prelude::*;

use super::file::{Field, GgufFile};
use super::model::{config, sound};
use super::{opened, refusal};
use crate::gguf::header;

/// A small sound file with a tensor of each kind of storage.
fn small() -> GgufFile {
    GgufFile::default()
        .with("general.architecture", Field::Text("gemma2".into()))
        .with("some.array", Field::Texts(vec!["a".into(), "bc".into()]))
        .with_tensor("a", &[4, 2], 0, vec![0; 32])
        .with_tensor("b", &[32, 3], 8, vec![0; 102])
        .with_tensor("c", &[256], 14, vec![0; 210])
}

fn error(file: &GgufFile) -> String {
    header::parse(&file.bytes()).unwrap_err().to_string()
}

fn changed(change: impl FnOnce(&mut GgufFile)) -> String {
    let mut file = small();
    change(&mut file);
    error(&file)
}

#[test]
fn a_sound_file_is_read() {
    let bytes = small().bytes();
    for version in [2_u32, 3] {
        let mut bytes = bytes.clone();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        let header = header::parse(&bytes).unwrap();
        let tensors: Vec<_> =
            header.tensors.iter().map(|t| (t.name.as_str(), t.kind.name(), t.dims.clone())).collect();
        assert_eq!(tensors, [("a", "F32", vec![2, 4]), ("b", "Q8_0", vec![3, 32]), ("c", "Q6_K", vec![256])]);
        assert!(header.tensors.iter().all(|tensor| tensor.range.start % 32 == 0));
        assert_eq!(header.tensors[2].range.end, bytes.len());
    }
}

#[test]
fn other_alignments_are_followed() {
    let mut file = small().with("general.alignment", Field::U32(128));
    file.alignment = 128;
    let header = header::parse(&file.bytes()).unwrap();
    assert!(header.tensors.iter().all(|tensor| tensor.range.start % 128 == 0));
    for wrong in [0, 48, 1 << 30] {
        let message = error(&small().with("general.alignment", Field::U32(wrong)));
        assert!(message.contains("general.alignment"), "{message}");
    }
}

#[test]
fn other_files_are_named_for_what_they_are() {
    assert!(changed(|file| file.magic = *b"ggml").contains("begins with \"ggml\""));
    assert!(changed(|file| file.version = 1).contains("version 1"));
    assert!(changed(|file| file.version = 4).contains("versions 2 and 3"));
    assert!(changed(|file| file.version = 3_u32.swap_bytes()).contains("big-endian"));
    assert!(header::parse(b"GG").unwrap_err().to_string().contains("truncated"));
}

#[test]
fn counts_are_not_believed() {
    let absurd = Some(u64::MAX);
    assert!(changed(|file| file.claimed_pairs = absurd).contains("18446744073709551615 keys"));
    assert!(changed(|file| file.claimed_tensors = absurd).contains("tensors at byte 8"));
    let array = |len: u64, kind: u32| {
        let bytes = [kind.to_le_bytes().as_slice(), &len.to_le_bytes()].concat();
        error(&small().with("an.array", Field::Raw(9, bytes)))
    };
    for kind in 0..13 {
        let message = array(u64::MAX / 2, kind);
        assert!(message.contains("`an.array`") && message.contains("elements"), "{message}");
    }
    assert!(array(1, 13).contains("type 13"));
}

#[test]
fn nested_arrays_end_somewhere() {
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
    }
    assert!(error(&small().with("deep", Field::Raw(9, bytes))).contains("too deep"));
}

#[test]
fn text_is_checked() {
    let bytes = [2_u64.to_le_bytes().as_slice(), &[0xff, 0xfe]].concat();
    assert!(error(&small().with("text", Field::Raw(8, bytes))).contains("key `text`"));
    let long = "x".repeat(70_000);
    assert!(error(&small().with(&long, Field::U32(0))).contains("65535"));
    assert!(error(&small().with("odd", Field::Raw(77, vec![]))).contains("type 77"));
}

#[test]
fn names_are_unique() {
    assert!(changed(|file| file.tensors[1].name = "a".into()).contains("tensor `a` appears twice"));
    assert!(
        changed(|file| file.pairs.push(("some.array".into(), Field::U32(0))))
            .contains("`some.array` appears twice")
    );
}

#[test]
fn tensors_lie_in_the_file_apart_and_aligned() {
    assert!(changed(|file| file.tensors[2].offset = Some(1 << 40)).contains("`c`"));
    assert!(changed(|file| file.tensors[2].offset = Some(u64::MAX - 31)).contains("does not fit"));
    assert!(changed(|file| file.tensors[1].offset = Some(33)).contains("alignment 32"));
    let overlapping = changed(|file| file.tensors[1].offset = Some(0));
    assert!(overlapping.contains("`a`") && overlapping.contains("`b`") && overlapping.contains("overlap"));
    assert!(changed(|file| file.tensors[0].dims = vec![1 << 40, 1 << 40]).contains("`a`"));
    assert!(changed(|file| file.tensors[0].dims = vec![u64::MAX, 0]).contains("no elements"));
    assert!(changed(|file| file.tensors[0].dims = vec![1; 5]).contains("5 dimensions"));
    assert!(changed(|file| file.tensors[1].dims = vec![33, 3]).contains("33 elements"));
}

#[test]
fn types_that_are_not_read_are_named_beside_those_that_are() {
    let known = changed(|file| file.tensors[1].kind = 18);
    assert!(known.contains("IQ3_XXS") && known.contains("Q4_K, Q5_K, Q6_K"), "{known}");
    assert!(changed(|file| file.tensors[1].kind = 4242).contains("type 4242"));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = small().bytes();
    for len in 0..bytes.len() {
        assert!(header::parse(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn models_with_other_tensors_are_described() {
    assert_eq!(*opened(&sound()).unwrap().config(), {
        let mut expected = config();
        expected.encodings = opened(&sound()).unwrap().config().encodings.clone();
        expected
    });
    let mut file = sound();
    file.tensors[1].name = "blk.0.odd.weight".into();
    let message = refusal(&file);
    assert!(message.contains("missing `blk.0.attn_norm.weight`"), "{message}");
    assert!(message.contains("unexpected `blk.0.odd.weight`"), "{message}");
    let mut file = sound();
    file.tensors[2].dims = vec![128, 512];
    let message = refusal(&file);
    assert!(message.contains("`blk.0.attn_q.weight`") && message.contains("[512, 128]"), "{message}");
    let mut file = sound();
    file.tensors[1].kind = 8;
    file.tensors[1].data.truncate(272);
    let message = refusal(&file);
    assert!(message.contains("`blk.0.attn_norm.weight` is Q8_0"), "{message}");
}

#[test]
fn a_second_embedding_must_be_the_first() {
    let embedding = sound().tensors[0].clone();
    let with_output =
        |data: Vec<u8>| sound().with_tensor("output.weight", &embedding.dims, embedding.kind, data);
    opened(&with_output(embedding.data.clone())).unwrap();
    let mut other = embedding.data.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(refusal(&with_output(other)).contains("output.weight"));
}

proptest! {
    /// Whatever is accepted lies in the file and has the size of its shape.
    #[test]
    fn damage_is_refused_or_harmless(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut bytes = small().bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if truncate {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(header) = header::parse(&bytes) {
            for tensor in header.tensors {
                let elements: usize = tensor.dims.iter().product();
                prop_assert!(tensor.range.end <= bytes.len());
                let blocks = elements / tensor.kind.block_elements();
                prop_assert_eq!(tensor.range.len(), blocks * tensor.kind.block_bytes());
            }
        }
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [b"GGUF\x03\0\0\0".as_slice(), &noise].concat();
        if let Ok(header) = header::parse(&bytes) {
            prop_assert!(header.tensors.iter().all(|tensor| tensor.range.end <= bytes.len()));
        }
    }

    /// Metadata of a whole model, damaged: config, vocabulary and weights are refused or read.
    #[test]
    fn damaged_models_are_refused_or_read(
        damage in prop::collection::vec((0_usize..1200, any::<u8>()), 1..4),
    ) {
        let mut bytes = super::tokenizers::tiny().bytes();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = crate::gguf::Gguf::open(&path) {
            let _ = file.config();
            let _ = file.checkpoint();
            let _ = file.tokenizer();
            let _ = file.chat_template();
        }
    }
}
