//! Bytes changed at random in a checkpoint's files: opening it may succeed or fail, and does not panic.

use std::fs;
use std::panic::catch_unwind;

use lapidary::model::Model;

use crate::sandbox::Sandbox;

/// Steele and Vigna's SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Bytes that mean something in JSON, which random ones seldom hit.
const TELLING: &[u8] = b"0123456789-.eE\"{}[],: \\ntfu\0\xff";

#[test]
fn damaged_files_never_panic() {
    let sandbox = Sandbox::new();
    let checkpoint = sandbox.model(|_| ());
    let header = checkpoint.tensors().iter().map(|tensor| tensor.range().start).min().unwrap();
    let directory = sandbox.path("model");
    let name = directory.to_str().unwrap().to_string();
    let (mut refused, mut random) = (0, Random(1));
    for (file, rounds) in [
        ("model.safetensors", 120),
        ("config.json", 120),
        ("tokenizer.json", 60),
        ("generation_config.json", 30),
    ] {
        let path = directory.join(file);
        let sound = fs::read(&path).unwrap();
        let reach = if file == "model.safetensors" { header } else { sound.len() };
        for round in 0..rounds {
            let mut bytes = sound.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(reach);
                bytes[at] = if random.below(2) == 0 {
                    bytes[at] ^ (1 << random.below(8))
                } else {
                    TELLING[random.below(TELLING.len())]
                };
            }
            if random.below(8) == 0 {
                bytes.truncate(random.below(reach));
            }
            fs::write(&path, &bytes).unwrap();
            let opened = catch_unwind(|| match Model::open(&name) {
                Ok(model) => model.tokenizer().map_or_else(|error| Err(error.to_string()), |_| Ok(())),
                Err(error) => Err(error.to_string()),
            });
            match opened {
                Ok(Ok(())) => {}
                Ok(Err(message)) => {
                    assert!(!message.is_empty());
                    refused += 1;
                }
                Err(_) => panic!("{file}, round {round}: opening the model panicked"),
            }
        }
        fs::write(&path, &sound).unwrap();
    }
    println!("{refused} of 330 damaged models were refused");
    assert!(refused > 150, "{refused}");
}
