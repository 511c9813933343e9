//! The golden checkpoints and what the reference implementation makes of them.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

/// The directory of a golden checkpoint, from the tests of whichever package of the workspace.
pub fn golden_dir(case: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut candidates = package.ancestors().map(|folder| folder.join("tests/goldens").join(case));
    candidates.find(|folder| folder.is_dir()).unwrap_or_else(|| panic!("no golden checkpoint `{case}`"))
}

/// A case's sequences and reference logits, and its greedy continuations.
pub struct Golden {
    pub sequences: Vec<Sequence>,
    pub greedy: Vec<Greedy>,
    pub meta: serde_json::Value,
}

pub struct Sequence {
    pub tokens: Vec<u32>,
    /// `[tokens, vocab]`, float64 rounded to f32.
    pub logits: Vec<f32>,
    pub nll: Vec<f32>,
    /// transformers' own bf16 run, where the case has one.
    pub logits_bf16: Option<Vec<f32>>,
}

pub struct Greedy {
    pub prompt: Vec<u32>,
    pub new_tokens: Vec<u32>,
}

impl Golden {
    pub fn open(case: &str) -> Self {
        let dir = golden_dir(case);
        let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let words = |name: &str| -> Option<Vec<[u8; 4]>> {
            let data = tensors.tensor(name).ok()?.data().to_vec();
            Some(data.chunks_exact(4).map(|word| word.try_into().unwrap()).collect())
        };
        let floats =
            |name: &str| Some(words(name)?.into_iter().map(f32::from_le_bytes).collect::<Vec<f32>>());
        let mut sequences = Vec::new();
        while let Some(tokens) = words(&format!("tokens.{}", sequences.len())) {
            let i = sequences.len();
            sequences.push(Sequence {
                tokens: tokens.into_iter().map(u32::from_le_bytes).collect(),
                logits: floats(&format!("logits.{i}")).unwrap(),
                nll: floats(&format!("nll.{i}")).unwrap(),
                logits_bf16: floats(&format!("logits_bf16.{i}")),
            });
        }
        let meta: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
        let ids = |value: &serde_json::Value| -> Vec<u32> {
            value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
        };
        let greedy = meta["greedy"].as_array().unwrap().iter();
        let greedy =
            greedy.map(|g| Greedy { prompt: ids(&g["prompt"]), new_tokens: ids(&g["new_tokens"]) }).collect();
        assert!(!sequences.is_empty());
        Self { sequences, greedy, meta }
    }
}
