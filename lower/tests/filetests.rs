//! Lowers every `filetests/*.lap` and compares with the golden texts that its first lines name:
//!
//! ```text
//! // golden dot.cpu.mlir: target=cpu
//! // golden dot.mesh.mlir: target=tpu mesh=data=2,model=4
//! ```
//!
//! `BLESS=1` rewrites the goldens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use lapidary_graph::verify::verify;
use lapidary_graph::{Attr, Attributes, DType, TensorType, text};
use lapidary_lower::target::{CPU, Kernel, Target};
use lapidary_lower::{LowerOptions, Mesh, ShardingRules, lower};

/// A kernel that no real target has: it takes what is all bf16.
const KERNEL: Kernel = Kernel {
    composite: "test.scale",
    call_target: "test_scale_bf16",
    accepts: |operands: &[TensorType], attributes: &Attributes| {
        operands.iter().all(|ty| ty.dtype == DType::BF16)
            && attributes.iter().any(|(name, value)| name == "axis" && matches!(value, Attr::Int(_)))
    },
    updates: None,
};

/// The same, but the first operand becomes the result.
const KERNEL_IN_PLACE: Kernel = Kernel { composite: "test.scale_in_place", updates: Some(0), ..KERNEL };

struct Golden {
    file: String,
    target: Target,
    mesh: Option<Mesh>,
}

fn golden(line: &str) -> Option<Golden> {
    let (file, options) = line.strip_prefix("// golden ")?.split_once(':').expect("`FILE: options`");
    let option = |key: &str| options.split_whitespace().find_map(|o| o.strip_prefix(key)?.strip_prefix('='));
    let target = match option("target").expect("a target") {
        "with-kernel" => CPU.with_kernels(vec![KERNEL, KERNEL_IN_PLACE]),
        name => Target::of_platform(name).expect("a known target").clone(),
    };
    let mesh = option("mesh").map(|mesh| mesh.parse().expect("a mesh"));
    Some(Golden { file: file.to_string(), target, mesh })
}

fn filetests() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "lap"))
        .collect();
    files.sort();
    files
}

#[test]
fn lowered_texts_are_the_goldens() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut named = Vec::new();
    let mut wrong = Vec::new();
    for path in filetests() {
        let source = fs::read_to_string(&path).unwrap();
        let module = text::parse(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let module = verify(&module).unwrap_or_else(|violations| panic!("{}: {violations}", path.display()));
        let goldens: Vec<Golden> = source.lines().map_while(golden).collect();
        assert!(!goldens.is_empty(), "{} names no golden", path.display());
        for golden in goldens {
            let rules = ShardingRules::transformer();
            let options = LowerOptions { target: &golden.target, mesh: golden.mesh.as_ref(), rules: &rules };
            let lowered = lower(module, &options).unwrap_or_else(|error| panic!("{}: {error}", golden.file));
            let golden_path = path.with_file_name(&golden.file);
            if bless {
                fs::write(&golden_path, &lowered).unwrap();
            }
            if fs::read_to_string(&golden_path).ok().as_deref() != Some(&lowered) {
                wrong.push(format!("{}:\n{lowered}", golden.file));
            }
            named.push(golden_path);
        }
    }
    assert!(wrong.is_empty(), "not the goldens (BLESS=1 rewrites them):\n{}", wrong.join("\n"));

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stray = path.extension().is_some_and(|e| e == "mlir") && !named.contains(&path);
        assert!(!stray, "no filetest names the golden {}", path.display());
    }
}
