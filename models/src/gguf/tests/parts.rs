//! Models in several files.

use super::content;
use super::file::{Field, GgufFile};
use super::model::sound;
use crate::checkpoint::Checkpoint;
use crate::gguf::{Gguf, GgufFileError};

/// Field of an unsigned 16-bit integer, which is what splits are numbered with.
fn u16_field(value: u16) -> Field {
    Field::Raw(2, value.to_le_bytes().to_vec())
}

/// The sound model in two parts.
fn parts() -> [GgufFile; 2] {
    let mut first = sound();
    let rest = first.tensors.split_off(5);
    let second = GgufFile { tensors: rest, ..GgufFile::default() };
    let part =
        |file: GgufFile, index| file.with("split.no", u16_field(index)).with("split.count", u16_field(2));
    [part(first, 0), part(second, 1)]
}

fn written(parts: &[GgufFile]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (part, number) in parts.iter().zip(1..) {
        let path = directory.path().join(format!("m-{number:05}-of-00002.gguf"));
        std::fs::write(path, part.bytes()).unwrap();
    }
    directory
}

#[test]
fn any_part_stands_for_the_model() {
    let directory = written(&parts());
    let whole = super::opened(&sound()).unwrap();
    for number in [1, 2] {
        let path = directory.path().join(format!("m-{number:05}-of-00002.gguf"));
        let checkpoint = Gguf::open(&path).unwrap().checkpoint().unwrap();
        assert_eq!(checkpoint.config(), whole.config());
        assert_eq!(checkpoint.summary().files, 2);
    }
}

#[test]
fn parts_must_be_there_and_be_parts_of_one_model() {
    let directory = written(&parts()[..1]);
    let first = directory.path().join("m-00001-of-00002.gguf");
    let second = directory.path().join("m-00002-of-00002.gguf");
    let missing = Gguf::open(&first).unwrap_err();
    assert!(matches!(&missing, GgufFileError::MissingPart { path, number: 2, count: 2 } if *path == second));

    std::fs::write(&second, sound().bytes()).unwrap();
    assert!(content(&first).to_string().contains("split.count"));
    std::fs::write(&second, parts()[0].bytes()).unwrap();
    assert!(content(&first).to_string().contains("split.no"));

    let renamed = directory.path().join("renamed.gguf");
    std::fs::rename(&first, &renamed).unwrap();
    assert!(content(&renamed).to_string().contains("-00001-of-00002.gguf"));
}

#[test]
fn a_directory_of_files_is_no_model_but_names_them() {
    let directory = written(&parts());
    let message = Checkpoint::open(directory.path()).unwrap_err().to_string();
    assert!(message.contains("m-00001-of-00002.gguf, m-00002-of-00002.gguf"), "{message}");
}

#[test]
fn a_tensor_is_in_one_part() {
    let [first, mut second] = parts();
    second.tensors.push(first.tensors[0].clone());
    let directory = written(&[first, second]);
    let path = directory.path().join("m-00001-of-00002.gguf");
    let error = Gguf::open(&path).unwrap().checkpoint().unwrap_err().to_string();
    assert!(error.contains("`token_embd.weight` is both in"), "{error}");
}
