//! Exported programs as HLO: what a target's compiler makes of the StableHLO before it optimizes anything.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::compile::{job, plugin_manifest, run};
use super::dump::DumpedHlo;
use super::error::BundleError;
use super::job::{DUMP, Devices, PluginFacts, Product, read};
use super::optimized::module_within;
use super::{CompileRequest, PROGRAM_FILE, Progress};
use crate::export::{
    FileManifest, HLO_PROTO_SUFFIX, HLO_TEXT_SUFFIX, HloManifest, Manifest, NewExport, PROGRAM_SUFFIX, sha256,
};

/// Has the compiler of a target read the programs of an export under way, and adds the HLO that it makes of each:
/// a `.hlo.pb` and a `.hlo.txt`. The compiler is ended as soon as it has said so much, whatever it would make of
/// the program later. What comes back is the manifest of `request.export` with these files.
///
/// # Errors
/// If the compiler does not take a program, or not in time; [`BundleError::Cancelled`] if `progress` breaks; if a
/// file cannot be written.
pub fn import_hlo(
    new: &NewExport,
    request: &CompileRequest<'_>,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Manifest, BundleError> {
    let devices = Devices::of(request.target, request.mesh)?;
    let total = request.export.files.len();
    let mut manifest = request.export.manifest.clone();
    let mut plugin = None;
    for (done, ((file, text), program)) in request.export.files.iter().zip(&mut manifest.programs).enumerate()
    {
        let name = file.strip_suffix(PROGRAM_SUFFIX).unwrap_or(file);
        let poll = &mut || progress(Progress { done, total, program: name });
        let imported = import_program(new, request, &devices, (name, text), poll)?;
        let put = |suffix: &str, content: &[u8]| {
            let file = format!("{name}{suffix}");
            new.directory.write(&file, content)?;
            Ok::<_, BundleError>(FileManifest { file, bytes: content.len() as u64, sha256: sha256(content) })
        };
        program.hlo = Some(HloManifest {
            proto: put(HLO_PROTO_SUFFIX, &imported.proto)?,
            text: put(HLO_TEXT_SUFFIX, &imported.text)?,
        });
        plugin.get_or_insert(imported.plugin);
    }
    manifest.importer = Some(plugin_manifest(request.plugin, plugin.ok_or(BundleError::NoPrograms)?)?);
    Ok(manifest)
}

/// A program as HLO, and what made that of it.
struct Imported {
    plugin: PluginFacts,
    /// An `HloModuleProto`.
    proto: Vec<u8>,
    text: Vec<u8>,
}

/// Runs a compiler until it has dumped a program.
fn import_program(
    new: &NewExport,
    request: &CompileRequest<'_>,
    devices: &Devices,
    (name, text): (&str, &str),
    progress: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Imported, BundleError> {
    let scratch = new.directory.scratch()?;
    let program = scratch.join(PROGRAM_FILE);
    using(&program, |path| fs::write(path, text))?;
    let plugin = scratch.join("plugin.json");
    let product = Product::ImportedHlo { plugin: plugin.clone() };
    let job = job(request, devices, product, scratch.clone(), &scratch)?;

    let no_hlo = || BundleError::NoHlo { program: name.to_string(), target: request.target.to_string() };
    let dump = scratch.join(DUMP);
    let mut dumped = None;
    let ended = run::<()>(request, name, &job, &mut || {
        progress()?;
        dumped = DumpedHlo::of_running(&dump);
        if dumped.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let dumped = match (dumped, ended) {
        (Some(dumped), _) => dumped,
        // The compiler was done before it was looked after.
        (None, Ok(())) => DumpedHlo::of_ended(&dump).ok_or_else(no_hlo)?,
        (None, Err(BundleError::Cancelled)) => return Err(BundleError::Cancelled),
        // What it refuses after it has read the program, such as weights larger than a device, can come as fast.
        (None, Err(error)) => DumpedHlo::of_running(&dump).ok_or(error)?,
    };
    let proto = using(&dumped.proto, |path| fs::read(path))?;
    Ok(Imported {
        plugin: using(&plugin, read)?,
        proto: module_within(&proto).ok_or_else(no_hlo)?,
        text: using(&dumped.text, |path| fs::read(path))?,
    })
}

fn using<T>(path: &Path, operation: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, BundleError> {
    operation(path).map_err(|source| BundleError::File { path: path.to_owned(), source })
}
