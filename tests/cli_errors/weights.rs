//! Weights that are not finite numbers.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::sandbox::{Sandbox, refused};

/// A model whose weight `tensor` has `value` at an index that counts all its elements.
fn with_weight(tensor: &str, index: usize, value: f32) -> Sandbox {
    let sandbox = Sandbox::new();
    let checkpoint = sandbox.model(|_| ());
    let offset = checkpoint.tensor(tensor).unwrap().range().start + index * size_of::<f32>();
    let file = OpenOptions::new().write(true).open(sandbox.path("model/model.safetensors")).unwrap();
    file.write_all_at(&value.to_le_bytes(), offset as u64).unwrap();
    sandbox.write("ids.json", "[[1, 2], [3, 4, 5]]");
    sandbox
}

#[test]
fn without_check_the_position_is_told_and_check_is_suggested() {
    for value in [f32::NAN, f32::INFINITY] {
        let sandbox = with_weight("model.layers.0.mlp.up_proj.weight", 7, value);
        for (command, parts) in [
            ("generate", ["sequence 0 (counted from 0), after 2 tokens", "the logit of token 0 is NaN"]),
            ("score", ["sequence 0, position 1", "the negative log-likelihood of token 2 is NaN"]),
        ] {
            let arguments = format!("{command} --model model --token-ids ids.json");
            let Some(command) = sandbox.command_with_plugin(&arguments) else { return };
            refused(command, &[&parts[..], &["--check looks for NaN and infinity"]].concat());
        }
    }
}

/// No plugin is needed to find them.
#[test]
fn check_names_the_tensor_the_index_and_the_value() {
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let sandbox = with_weight("model.layers.0.mlp.up_proj.weight", 7, value);
        for command in ["generate", "score"] {
            sandbox.refuses(
                &format!("{command} --model model --token-ids ids.json --check"),
                &[
                    "model has weights that are not finite numbers",
                    "`model.layers.0.mlp.up_proj.weight` in model/model.safetensors",
                    &format!("1 non-finite, first {name} at [0, 7]"),
                ],
            );
        }
    }
}
