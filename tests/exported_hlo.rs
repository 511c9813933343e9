//! `lapidary export --hlo`: what the importers of XLA's compilers make of a program is what the manifest says of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/command.rs"]
mod command;
#[path = "support/plugin.rs"]
mod plugin_file;

use std::fs;
use std::path::Path;

use lapidary::export::{FileManifest, Manifest, ParamManifest, ProgramManifest, ValueManifest};
use lapidary::hlo::{Computation, Instruction, InstructionId, Module, Opcode};
use lapidary::runtime::plugins::PluginKind;
use sha2::{Digest, Sha256};

/// Exports every phase of the tiny model on four devices, with HLO.
fn export(out: &Path, more: &str) -> Manifest {
    let arguments =
        "export --model tiny --mesh data=2,model=2 --batch 2 --tokens 16 --context 64 --hlo --json";
    let mut command = command::lapidary_command();
    command.args(arguments.split(' ')).args(more.split_whitespace()).arg("--out").arg(out);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
    let manifest: Manifest = serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (program, printed) in manifest.programs.iter().zip(printed["programs"].as_array().unwrap()) {
        assert_eq!(printed["hlo"], serde_json::to_value(&program.hlo).unwrap());
    }
    // The manifest and three files of each program.
    assert_eq!(fs::read_dir(out).unwrap().count(), 1 + 3 * manifest.programs.len());
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    manifest
}

#[test]
fn the_cpu_compiler_imports_what_the_manifest_says() {
    if plugin_file::cpu_plugin().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("programs");
    let manifest = export(&out, "");
    check(&out, &manifest, PluginKind::Cpu);
    // Neither the time nor the place is in it.
    let again = tempfile::tempdir().unwrap();
    assert_eq!(export(&again.path().join("elsewhere"), ""), manifest);
}

#[test]
fn the_compiler_of_absent_tpus_imports_what_the_manifest_says() {
    if plugin_file::plugin(PluginKind::Tpu).is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("programs");
    let manifest = export(&out, "--target tpu:v5p:2x2x1");
    check(&out, &manifest, PluginKind::Tpu);
}

fn check(out: &Path, manifest: &Manifest, kind: PluginKind) {
    let importer = manifest.importer.as_ref().unwrap();
    assert_eq!((importer.kind.as_str(), importer.platform.as_str()), (kind.name(), kind.name()));
    assert_eq!(importer.sha256.len(), 64);
    assert_eq!(manifest.programs.len(), 5);
    for program in &manifest.programs {
        check_program(out, program, kind);
    }
}

/// The content of a file, which is what the manifest says.
fn read(out: &Path, file: &FileManifest) -> Vec<u8> {
    let bytes = fs::read(out.join(&file.file)).unwrap();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((bytes.len() as u64, digest.as_str()), (file.bytes, file.sha256.as_str()), "{}", file.file);
    bytes
}

fn check_program(out: &Path, program: &ProgramManifest, kind: PluginKind) {
    let name = program.file.strip_suffix(".stablehlo.mlir").unwrap();
    let hlo = program.hlo.as_ref().unwrap();
    assert_eq!(hlo.proto.file, format!("{name}.hlo.pb"));
    assert_eq!(hlo.text.file, format!("{name}.hlo.txt"));
    let text = String::from_utf8(read(out, &hlo.text)).unwrap();
    let proto = Module::from_proto(&read(out, &hlo.proto)).unwrap();
    let printed = Module::from_text(&text).unwrap();
    assert!(same_program(&proto, &printed), "{name}");
    check_signature(program, &proto);
    check_entry_layout(program, &text, kind);
    for parameter in &program.parameters {
        check_sharding(&parameter.value, &text);
    }
    // Nothing was partitioned or fused yet.
    let instructions = || proto.entry().instructions().map(|(_, instruction)| instruction);
    assert!(!instructions().any(|i| matches!(i.opcode, Opcode::Fusion | Opcode::Collective(_))));
}

/// Whether two modules compute the same by the same names, whatever the order of instructions. Text may have elements
/// of tuples as operands where the message has instructions for them.
fn same_program(a: &Module, b: &Module) -> bool {
    let instructions = |module: &Module| {
        let all = module.computations().flat_map(|(_, computation)| {
            let spelled_out = |instruction: &Instruction| instruction.opcode != Opcode::GetTupleElement;
            let instructions = computation.instructions().map(|(_, instruction)| instruction);
            instructions.filter(move |instruction| spelled_out(instruction)).map(move |instruction| {
                let operands = instruction.operands.iter();
                let operands: Vec<_> = operands.map(|&operand| operand_name(computation, operand)).collect();
                format!(
                    "{} {} {:?} {:?} {operands:?}",
                    computation.name, instruction.name, instruction.opcode, instruction.shape
                )
            })
        });
        let mut all: Vec<String> = all.collect();
        all.sort();
        all
    };
    (&a.name, &a.aliases, instructions(a)) == (&b.name, &b.aliases, instructions(b))
}

/// The name of an operand; of a tuple's element, the tuple's and its number.
fn operand_name(computation: &Computation, operand: InstructionId) -> String {
    let instruction = computation.instruction(operand);
    match (instruction.attributes.tuple_index, instruction.operands.as_slice()) {
        (Some(index), &[tuple]) => format!("{}#{index}", operand_name(computation, tuple)),
        _ => instruction.name.clone(),
    }
}

/// Type and dimensions in HLO's words.
fn hlo_type(value: &ValueManifest) -> String {
    let dims: Vec<String> = value.shape.iter().map(ToString::to_string).collect();
    format!("{}[{}]", value.dtype, dims.join(","))
}

/// The same with a row-major layout.
fn row_major(value: &ValueManifest) -> String {
    let order: Vec<String> = (0..value.shape.len()).rev().map(|dim| dim.to_string()).collect();
    format!("{}{{{}}}", hlo_type(value), order.join(","))
}

fn check_signature(program: &ProgramManifest, module: &Module) {
    let entry = module.entry();
    for (number, ParamManifest { value, .. }) in program.parameters.iter().enumerate() {
        let (_, parameter) = entry.parameter(number).unwrap();
        assert_eq!(parameter.attributes.metadata.op_name, value.name);
        assert_eq!(parameter.shape.to_string(), hlo_type(value), "{}", value.name);
    }
    assert!(entry.parameter(program.parameters.len()).is_none());
    let results: Vec<String> = program.results.iter().map(hlo_type).collect();
    assert_eq!(entry.root().shape.to_string(), format!("({})", results.join(", ")));

    let donated = program.parameters.iter().enumerate();
    let donated = donated.filter_map(|(number, parameter)| Some((parameter.donated_to?, number)));
    let mut aliases: Vec<(usize, usize)> =
        module.aliases.iter().map(|alias| (alias.output[0], alias.parameter)).collect();
    aliases.sort();
    let mut donated: Vec<(usize, usize)> = donated.collect();
    donated.sort();
    assert_eq!(aliases, donated);
    assert_eq!(donated.len(), 4, "keys and values of two layers");
}

/// Types are what the manifest says. Layouts are the platform's: row-major on the CPU, and on TPUs tiled.
fn check_entry_layout(program: &ProgramManifest, text: &str, kind: PluginKind) {
    let header = text.lines().next().unwrap();
    let (_, layout) = header.split_once("entry_computation_layout={").unwrap();
    // Every fifth has its number before it, as a comment.
    let parts = layout.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, rest)| rest));
    let mut layout: String = parts.collect();
    let mut shown: fn(&ValueManifest) -> String = row_major;
    if kind != PluginKind::Cpu {
        let parts = layout.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
        (layout, shown) = (parts.collect(), hlo_type);
    }
    let list = |values: Vec<&ValueManifest>| values.into_iter().map(shown).collect::<Vec<_>>().join(", ");
    let parameters = list(program.parameters.iter().map(|parameter| &parameter.value).collect());
    let results = list(program.results.iter().collect());
    let expected = format!("({parameters})->({results})}}");
    assert!(layout.starts_with(&expected), "{layout}\n{expected}");
}

/// The sharding of a parameter is what the manifest says, in the words of an older XLA or a newer one.
fn check_sharding(value: &ValueManifest, text: &str) {
    let name = format!("op_name=\"{}\"", value.name);
    let line = text.lines().find(|line| line.contains(" parameter(") && line.contains(&name)).unwrap();
    let (_, sharding) = line.split_once(", sharding={").unwrap();
    let shards: Vec<String> =
        value.shape.iter().zip(&value.shard_shape).map(|(size, shard)| (size / shard).to_string()).collect();
    let axes = value.sharding.iter().map(|splits| {
        let axes: Vec<String> = splits.iter().map(|split| format!("'{}'", split.axis)).collect();
        format!("{{{}}}", axes.join(", "))
    });
    let named = format!("[{}]", axes.collect::<Vec<_>>().join(", "));
    let expected = match value.sharding.iter().all(Vec::is_empty) {
        true => "replicated}".to_string(),
        false => format!("devices=[{}", shards.join(",")),
    };
    let mesh = "mesh['data'=2,'model'=2], ";
    let holds = sharding.starts_with(&expected)
        || sharding.strip_prefix(mesh).is_some_and(|rest| rest.starts_with(&named));
    assert!(holds, "{}: {sharding}\n{expected} or {mesh}{named}", value.name);
}
