//! A model of random weights that leaves nothing behind.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::BinaryBytes;
use lapidary::bench::available_memory;
use lapidary::graph::DType;
use lapidary::model::Model;
use lapidary::models::config::GemmaConfig;
use lapidary::models::dtype::StoredDtype;
use lapidary::models::progress::Progress;
use lapidary::models::synth::{SynthOptions, synth};

use crate::cli::args::DtypeArg;
use crate::cli::ui::Ui;
use crate::cli::{cache, interrupt};

/// What the weights need to leave of a disk.
const SPARE_BYTES: u64 = 64 << 20;

/// Makes up a model of `config`, with weights in the element type that it is to run in, or encoded as the config has
/// them.
///
/// Its files are written to the cache directory, mapped, and deleted: their space is free again when the process ends,
/// however it ends. Mapped files are what a real model is loaded from, so that loading is measured as it is.
///
/// # Errors
/// If the disk or the memory has no room for the weights, or on Ctrl-C.
pub fn make(config: &GemmaConfig, dtype: DtypeArg, ui: &Ui) -> Result<Model> {
    let dtype = match dtype.dtype() {
        Some(DType::F32) => StoredDtype::F32,
        _ => StoredDtype::Bf16,
    };
    let bytes = config.weight_bytes(dtype);
    check_memory(bytes)?;
    let scratch = cache::directory()?.context(cache::HOMELESS)?.join("scratch");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    check_disk(&scratch, bytes)?;

    let _catch = interrupt::catch();
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&scratch)
        .with_context(|| format!("cannot write to {}", scratch.display()))?;
    let path = directory.path().join("model");
    let options = SynthOptions { dtype, ..SynthOptions::default() };
    let bar = ui.bytes("making up weights", bytes);
    let written = synth(config, &path, &options, &mut |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        interrupt::poll()
    });
    bar.finish_and_clear();
    written?;
    let spinner = ui.spinner("waiting for the disk".to_owned());
    let settled = settle(&path);
    spinner.finish_and_clear();
    settled.with_context(|| format!("cannot write to {}", path.display()))?;
    // `directory` goes now; what is mapped stays.
    Ok(Model::open(&path.display().to_string())?)
}

/// Weights that are not in memory as a whole would be read from the disk again for each token.
fn check_memory(bytes: u64) -> Result<()> {
    match available_memory() {
        Some(available) if available < bytes => bail!(
            "the weights take {}, and this machine has {} of memory left: end other programs, or give fewer \
             --layers",
            BinaryBytes(bytes),
            BinaryBytes(available)
        ),
        _ => Ok(()),
    }
}

fn check_disk(directory: &Path, bytes: u64) -> Result<()> {
    let disk = rustix::fs::statvfs(directory)
        .with_context(|| format!("cannot tell how much room there is in {}", directory.display()))?;
    let available = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = bytes.saturating_add(SPARE_BYTES);
    if available < needed {
        bail!(
            "the weights take {}, and {} has room for {}: free some, set LAPIDARY_CACHE_DIR to a directory on a larger \
             disk, or give fewer --layers",
            BinaryBytes(bytes),
            directory.display(),
            BinaryBytes(available)
        );
    }
    Ok(())
}

/// Waits until what was written is on the disk, so that nothing is being written while the model is measured.
fn settle(directory: &Path) -> std::io::Result<()> {
    for file in fs::read_dir(directory)? {
        File::open(file?.path())?.sync_all()?;
    }
    Ok(())
}
