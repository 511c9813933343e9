use lapidary_models::program::{KvCache, Phase};

use super::*;

const PHASES: [Phase; 3] = [Phase::Decode, Phase::Prefill, Phase::Score { logits: false }];

fn export(target: Option<&str>, mesh: &str) -> Result<Export, ExportError> {
    let config = GemmaConfig::tiny();
    let target: Option<TargetSpec> = target.map(|target| target.parse().unwrap());
    let request = ExportRequest {
        model: "tiny",
        config: &config,
        dtype: DType::BF16,
        target: target.as_ref(),
        mesh: &mesh.parse().unwrap(),
        rules: &ShardingRules::transformer(),
        compiler_flags: &BTreeMap::from([("xla_test_flag".to_string(), "on".to_string())]),
    };
    let tokens = |phase| if phase == Phase::Decode { 1 } else { 16 };
    let shapes = PHASES.map(|phase| ProgramShape {
        phase,
        batch: 2,
        tokens: tokens(phase),
        capacity: 64,
        dtype: DType::BF16,
        kv_cache: KvCache::Dense,
    });
    Export::new(&request, &shapes)
}

#[test]
fn the_manifest_is_about_the_text() {
    let Export { files, manifest } = export(None, "data=2,model=2").unwrap();
    assert_eq!((manifest.programs.len(), manifest.devices), (3, 4));
    let mut lines = String::new();
    for ((file, text), program) in files.iter().zip(&manifest.programs) {
        assert_eq!((&program.file, program.bytes), (file, text.len()));
        assert_eq!(program.sha256, sha256(text.as_bytes()));
        lines += &format!("{}  {file}\n", program.sha256);
        // Every parameter is an argument of main, under its name and with its type and donation.
        let main = text.lines().find(|line| line.contains("func.func public @main")).unwrap();
        for (i, ParamManifest { value, donated_to }) in program.parameters.iter().enumerate() {
            let argument = main.split(&format!("%arg{i}: ")).nth(1).unwrap();
            let argument = argument.split(&format!(", %arg{}: ", i + 1)).next().unwrap();
            let dims: String = value.shape.iter().map(|size| format!("{size}x")).collect();
            let dtype = value.dtype.replace("s32", "i32");
            assert!(argument.starts_with(&format!("tensor<{dims}{dtype}>")), "{argument}\n{value:?}");
            assert!(argument.contains(&format!("loc(\"{}\")", value.name)), "{argument}\n{value:?}");
            let alias = donated_to.map(|result| format!("tf.aliasing_output = {result} : i32"));
            assert_eq!(alias.is_some(), argument.contains("tf.aliasing_output"), "{argument}");
            assert!(alias.is_none_or(|alias| argument.contains(&alias)), "{argument}");
        }
    }
    assert_eq!(manifest.sha256, sha256(lines.as_bytes()));
    // As the coreutils have it for no bytes at all.
    assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    assert_eq!(export(None, "model=2").unwrap(), export(None, "model=2").unwrap());
    let (plain, cpu) = (export(None, "model=2").unwrap(), export(Some("cpu"), "model=2").unwrap());
    assert_eq!((plain.manifest.target.table.as_str(), plain.manifest.target.spec.as_deref()), ("tpu", None));
    assert_eq!(cpu.manifest.target.spec.as_deref(), Some("cpu"));
    let flags = |export: &Export| export.manifest.target.compiler_flags.keys().cloned().collect::<Vec<_>>();
    assert_eq!(flags(&plain), ["xla_test_flag"]);
    assert_eq!(flags(&cpu), ["xla_cpu_enable_fast_min_max", "xla_test_flag"]);
    assert_ne!(plain.manifest.sha256, cpu.manifest.sha256);
}

#[test]
fn a_manifest_survives_its_json() {
    let manifest = export(Some("cuda:h100:2"), "model=2").unwrap().manifest;
    let text = json::to_readable_json(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
}

#[test]
fn mesh_target_and_rules_must_agree() {
    assert!(matches!(export(Some("cuda:h100"), "model=2"), Err(ExportError::Target(_))));
    assert!(matches!(export(None, "tensor=2"), Err(ExportError::Rules(_))));
}
