use std::fs;
use std::path::Path;

use lapidary::export::{FORMAT, Manifest};
use serde_json::Value;

use super::{Run, lapidary, run, run_lapidary};

/// Every file of a directory and its content.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn export(out: &Path, more: &str) -> Run {
    let out = out.display().to_string();
    let arguments = ["export", "--model", "tiny", "--context", "64", "--out", &out];
    run_lapidary(&arguments.into_iter().chain(more.split_whitespace()).collect::<Vec<_>>())
}

#[test]
fn programs_and_a_manifest_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("programs");
    let written = export(&out, "--mesh data=2,model=2 --batch 2 --tokens 16 --json");
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""));
    let names: Vec<String> = files(&out).into_iter().map(|(name, _)| name).collect();
    let program = |phase: &str, tokens| format!("gemma2_{phase}_b2_t{tokens}_c64_bf16.stablehlo.mlir");
    let one_step = "gemma2_sampled_decode_b2_t1_c64_bf16_s1.stablehlo.mlir".to_string();
    let expected = [
        program("decode", 1),
        program("prefill", 16),
        one_step,
        program("sampled_prefill", 16),
        program("score", 16),
        "manifest.json".into(),
    ];
    assert_eq!(names, expected);

    let text = fs::read_to_string(out.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    assert_eq!((manifest.format.as_str(), manifest.devices), (FORMAT, 4));
    assert_eq!(manifest.generator.version, env!("CARGO_PKG_VERSION"));
    let report: Value = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!(report["sha256"], manifest.sha256);
    for program in &manifest.programs {
        let text = fs::read_to_string(out.join(&program.file)).unwrap();
        assert_eq!(text.len(), program.bytes);
        assert!(text.contains("sdy.mesh @mesh = <[\"data\"=2, \"model\"=2]>"), "{}", program.file);
        let donated = program.parameters.iter().filter(|parameter| parameter.donated_to.is_some());
        assert_eq!(donated.count(), 4, "keys and values of two layers");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn two_exports_are_the_same_to_the_byte() {
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
    for out in [&a, &b] {
        assert_eq!(export(out, "--mesh model=2 --phase decode,score").code, Some(0));
    }
    assert_eq!(files(&a), files(&b));
    assert_eq!(files(&a).len(), 3);
}

/// The format is a promise to whoever reads it, what the programs say is not. BLESS=1 rewrites the golden.
#[test]
fn the_manifest_has_the_form_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("programs");
    let written = export(&out, "--mesh model=2 --phase decode --target cuda:h100:2");
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let text = fs::read_to_string(out.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let program = &manifest.programs[0];
    let text = text.replace(&manifest.sha256, "SHA-256").replace(&program.sha256, "SHA-256 of the file");
    let text = text.replace(&format!("\"bytes\": {},", program.bytes), "\"bytes\": 0,");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli_commands/export_manifest.json");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap(), "rewrite it with BLESS=1 if this is meant");
}

#[test]
fn an_export_is_replaced_only_on_request_and_nothing_else_ever() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("programs");
    assert_eq!(export(&out, "--phase decode").code, Some(0));
    let before = files(&out);
    let refused = export(&out, "--phase score");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("is not empty") && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert_eq!(files(&out), before);
    assert_eq!(export(&out, "--phase score --force").code, Some(0));
    let names: Vec<String> = files(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gemma2_score_b1_t64_c64_bf16.stablehlo.mlir", "manifest.json"]);

    fs::write(out.join("notes.txt"), "mine").unwrap();
    let refused = export(&out, "--force");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("holds `notes.txt`"), "{}", refused.stderr);
    assert_eq!(files(&out).len(), 3);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn the_current_directory_can_be_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let mut command = lapidary(&["export", "--model", "tiny", "--phase", "decode", "--out", "../new"]);
    let written = run(command.current_dir(&inner));
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    assert!(directory.path().join("new/manifest.json").is_file());
}
