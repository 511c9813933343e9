//! Bundles that are not what they were.

use std::fs;
use std::path::{Path, PathBuf};

use lapidary::bundle::Bundle;
use lapidary::engine::cache::Origins;
use lapidary::runtime::Client;
use serde_json::json;

use crate::bundles::{edit, fixture, refusal};
use crate::support::cpu;

/// Why a batch of four rows is not run.
fn failure(bundle: &Path, client: &Client) -> String {
    let engine = match fixture().bundled(bundle, client, false) {
        Ok(engine) => engine,
        Err(error) => return error.to_string(),
    };
    let batch = match engine.batch(4, 64) {
        Ok(batch) => batch,
        Err(error) => return error.to_string(),
    };
    let message = batch.prepare(&[16], true).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// A file of the decode program that answers with logits, which is the one that [`failure`] takes.
fn decode_file(bundle: &Path, name: &str) -> PathBuf {
    let programs = fs::read_dir(bundle.join("programs")).unwrap().map(|entry| entry.unwrap().path());
    let is_decode = |path: &PathBuf| path.display().to_string().contains("gemma2_decode_");
    programs.into_iter().find(is_decode).unwrap().join(name)
}

#[test]
fn a_damaged_executable_never_reaches_the_plugin() {
    let Some(client) = cpu() else { return };
    let (_directory, bundle) = fixture().copy();
    let executable = decode_file(&bundle, "executable.bin");
    let whole = fs::read(&executable).unwrap();
    let advice = "; compile it again, or add --recompile";

    fs::write(&executable, &whole[..whole.len() / 2]).unwrap();
    let message = failure(&bundle, &client);
    let sizes = format!("executable.bin has {} bytes, not {}{advice}", whole.len() / 2, whole.len());
    assert!(message.starts_with("the bundle ") && message.contains(" is damaged: programs/gemma2_decode_"));
    assert!(message.ends_with(&sizes), "{message}");

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&executable, &flipped).unwrap();
    let message = failure(&bundle, &client);
    assert!(message.ends_with(&format!("has been changed: its SHA-256 is another{advice}")), "{message}");

    fs::remove_file(&executable).unwrap();
    let message = failure(&bundle, &client);
    assert!(message.contains("executable.bin cannot be read: No such file"), "{message}");

    // Its program is whole, and makes another.
    let recompiled = fixture().bundled(&bundle, &client, true).unwrap();
    recompiled.batch(4, 64).unwrap().prepare(&[16], true).unwrap();
    assert_eq!(recompiled.origins(), Origins { compiled: 1, bundled: 1, cached: 0 });
    let program = decode_file(&bundle, "program.mlir");
    fs::write(&program, "module {}").unwrap();
    let recompiled = fixture().bundled(&bundle, &client, true).unwrap();
    let message = recompiled.batch(4, 64).unwrap().prepare(&[16], true).unwrap_err().to_string();
    assert!(
        message.contains("program.mlir has 9 bytes, not ") && message.ends_with("; compile it again"),
        "{message}"
    );
}

#[test]
fn a_path_does_not_lead_out_of_a_bundle() {
    let Some(client) = cpu() else { return };
    let (_directory, bundle) = fixture().copy();
    edit(&bundle, |manifest| {
        for program in manifest["programs"].as_array_mut().unwrap() {
            for file in program["files"].as_array_mut().unwrap() {
                let name = file["file"].as_str().unwrap();
                file["file"] = json!(format!("../bundle/{name}"));
            }
        }
    });
    let message = failure(&bundle, &client);
    assert!(message.contains("executable.bin, which leads out of the bundle"), "{message}");
}

#[test]
fn half_a_manifest_is_none() {
    let (_directory, bundle) = fixture().copy();
    let path = bundle.join("manifest.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(refusal(Bundle::open(&bundle)).ends_with("manifest.json is not the manifest of a bundle"));
    fs::remove_file(&path).unwrap();
    let message = refusal(Bundle::open(&bundle));
    assert!(message.ends_with("cannot be read: a bundle is what `lapidary compile` writes"), "{message}");
}

/// A change in a manifest.
type Change = fn(&mut serde_json::Value);

#[test]
fn a_manifest_that_says_what_cannot_be_is_damaged() {
    let Some(client) = cpu() else { return };
    let changes: [(Change, &str); 7] = [
        (|manifest| manifest["programs"] = json!([]), "it lists no program"),
        (|manifest| manifest["devices"] = json!(3), "is not of 3 devices"),
        (|manifest| manifest["mesh"] = json!([{"name": "model", "size": 0}]), "mesh axis `model` has size 0"),
        (|manifest| manifest["dtype"] = json!("f17"), "unknown element type `f17`"),
        (|manifest| manifest["model"]["config"]["num_attention_heads"] = json!(0), "config cannot be used"),
        (
            |manifest| {
                manifest["programs"][0]["parameters"][0]["role"] = json!({"kind": "input", "input": "mood"})
            },
            "is an unknown input `mood`",
        ),
        (
            |manifest| manifest["programs"][0]["parameters"][0]["shard_shape"] = json!([1, 1]),
            "cannot be split so over the mesh",
        ),
    ];
    for (change, told) in changes {
        let (_directory, bundle) = fixture().copy();
        edit(&bundle, change);
        let message = failure(&bundle, &client);
        assert!(message.starts_with("the manifest of the bundle ") && message.contains(told), "{message}");
        assert!(message.ends_with("; compile the bundle again"), "{message}");
    }
}
