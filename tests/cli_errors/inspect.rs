//! `inspect`: what is no compiled program, or a damaged one, and targets and meshes that it is not for.

use std::fs;

use crate::sandbox::{Sandbox, refused, run};

const TEXT: &str = include_str!("../../hlo/tests/goldens/loop_of_collectives.v5p.hlo.txt");
const PROTO: &[u8] = include_bytes!("../../hlo/tests/goldens/loop_of_collectives.v5p.hlo.pb");

#[test]
fn what_is_no_compiled_program() {
    let sandbox = Sandbox::new();
    sandbox.write("notes.txt", "Nothing of interest.");
    sandbox.write("empty.hlo", "");
    sandbox.write("noise.pb", [0x08, 0xff, 0x00, 0x13, 0x9c]);
    sandbox.write("program.mlir", "module @decode {\n}\n");
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.refuses("inspect nowhere", &["cannot read nowhere", "No such file"]);
    sandbox.refuses("inspect empty", &["empty holds no compiled program", "`lapidary compile`"]);
    sandbox.refuses("inspect .", &[". holds no compiled program"]);
    sandbox.refuses("inspect empty.hlo", &["empty.hlo is empty"]);
    sandbox.refuses(
        "inspect notes.txt",
        &["notes.txt cannot be read as HLO", "because: line 1: expected `HloModule`, found `Nothing"],
    );
    sandbox.refuses("inspect noise.pb", &["noise.pb cannot be read as HLO", "because: not a serialized"]);
    sandbox.refuses("inspect program.mlir", &["program.mlir is MLIR", "give optimized HLO"]);
    sandbox.refuses("inspect", &["<PATH>"]);
}

#[test]
fn models_and_what_is_asked_of_them() {
    let sandbox = Sandbox::new();
    sandbox.write("step.hlo.txt", TEXT);
    sandbox.refuses("inspect --model nobody", &["no model `nobody`"]);
    sandbox.refuses("inspect --model tiny --kernels gelu", &["`gelu` is no kernel"]);
    sandbox.refuses("inspect --model tiny --context 0", &["a program needs at least one token"]);
    sandbox.refuses("inspect --model tiny --mesh nothing=2", &["nothing"]);
    sandbox.refuses("inspect --model tiny --html page.html", &["cannot be used with"]);
    sandbox.refuses("inspect step.hlo.txt --model tiny", &["cannot be used with"]);
    sandbox.refuses("inspect step.hlo.txt --kernels off", &["cannot be used with"]);
    sandbox.refuses("inspect step.hlo.txt --phase decode", &["cannot be used with"]);
    sandbox.refuses("inspect step.hlo.txt --batch 2", &["cannot be used with"]);
    sandbox.refuses("inspect --batch 2", &["<PATH>"]);
}

#[test]
fn programs_that_are_cut_off() {
    let sandbox = Sandbox::new();
    // In the middle of an instruction of the last computation.
    let cut = TEXT.rfind("parameter(").unwrap();
    sandbox.write("cut.hlo.txt", &TEXT[..cut]);
    sandbox.write("cut.hlo.pb", &PROTO[..PROTO.len() / 2]);
    sandbox.refuses("inspect cut.hlo.txt", &["cut.hlo.txt cannot be read", "incomplete", "because: line "]);
    sandbox.refuses("inspect cut.hlo.pb", &["cut.hlo.pb cannot be read", "because: "]);
}

#[test]
fn bundles_that_are_damaged() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("bundle/programs/decode")).unwrap();
    sandbox.write("bundle/programs/decode/optimized.hlo.txt", TEXT);
    let manifest = |manifest: &str, parts: &[&str]| {
        sandbox.write("bundle/manifest.json", manifest);
        sandbox.refuses("inspect bundle", parts);
        sandbox.refuses("inspect bundle/programs/decode", parts);
    };
    manifest("{", &["manifest.json is not the manifest of a bundle", "because: EOF"]);
    manifest("{\"format\": \"lapidary-bundle/1\"}", &["because: missing field"]);
    manifest("{\"format\": \"lapidary-bundle/99\"}", &["is of the format `lapidary-bundle/99`"]);
    // An export is a directory with a manifest, too.
    let export = run(sandbox.command("export --model tiny --phase decode --out exported"));
    assert_eq!(export.code, Some(0), "{export:?}");
    sandbox.refuses("inspect exported", &["exported is an export, whose programs no compiler has seen"]);
}

#[test]
fn targets_and_pages_that_cannot_be() {
    let sandbox = Sandbox::new();
    sandbox.write("step.hlo.txt", TEXT);
    sandbox.refuses("inspect step.hlo.txt --target tpu:v99:2x2", &["no TPU generation is called `v99`"]);
    sandbox.refuses("inspect step.hlo.txt --mesh 4", &["'4' for '--mesh <AXIS=N,...>'"]);
    sandbox.refuses(
        "inspect step.hlo.txt --target tpu:v5p:2x2x1 --mesh model=2",
        &["the mesh model=2 has 2 devices, but the target tpu:v5p:2x2x1 has 4"],
    );
    sandbox.refuses("inspect step.hlo.txt --top -1", &["'-1' for '--top <N>'"]);
    refused(
        sandbox.command("inspect step.hlo.txt --html nowhere/page.html"),
        &["cannot write nowhere/page.html"],
    );
    assert_eq!(sandbox.files(), ["step.hlo.txt"]);
}
