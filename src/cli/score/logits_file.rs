//! Logits as a safetensors file, written as they come.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lapidary::engine::ScoreChunk;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

/// Where to write, and what the file will look like.
pub struct LogitsPlan {
    path: PathBuf,
    header: String,
    /// Offset of each sequence's logits in the file.
    offsets: Vec<u64>,
    vocab: usize,
}

/// A file in the making; it appears under its name only when it is whole.
pub struct LogitsFile {
    file: NamedTempFile,
    plan: LogitsPlan,
}

impl LogitsPlan {
    /// A plan for `[tokens, vocab]` f32 of each sequence, by the model in the directory `model`.
    ///
    /// # Errors
    /// If no file can be made at `path`, or one of the model's would be lost to it, which is better known before the
    /// work than after it.
    pub fn new(path: &Path, model: &Path, sequences: &[Vec<u32>], vocab: usize) -> Result<Self> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            bail!("cannot write {}: it exists and is not a regular file; name another", path.display());
        }
        if path.exists() && is_same_directory(directory(path), model) {
            bail!(
                "cannot write {}: it would replace a file in the model's directory; name another",
                path.display()
            );
        }
        tempfile::tempfile_in(directory(path)).with_context(|| cannot_create(path))?;

        let mut header = Map::new();
        let mut ends = vec![0u64];
        for (index, sequence) in sequences.iter().enumerate() {
            let name = if sequences.len() == 1 { "logits".to_string() } else { format!("logits.{index}") };
            let begin = ends.last().copied().unwrap_or(0);
            let end = begin + (sequence.len() * vocab * size_of::<f32>()) as u64;
            let entry =
                json!({ "dtype": "F32", "shape": [sequence.len(), vocab], "data_offsets": [begin, end] });
            header.insert(name, entry);
            ends.push(end);
        }
        let mut header = Value::Object(header).to_string();
        // The header's length and the header end at a multiple of 8, as the format recommends.
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let data = 8 + header.len() as u64;
        let offsets = ends.iter().map(|end| data + end).collect();
        Ok(Self { path: path.to_path_buf(), header, offsets, vocab })
    }

    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be created beside its final place, or the disk is full.
    pub fn create(self) -> Result<LogitsFile> {
        let file = tempfile::Builder::new()
            // As any other new file; a temporary one would be its owner's alone. The umask applies.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory(&self.path))
            .with_context(|| cannot_create(&self.path))?;
        let file = LogitsFile { file, plan: self };
        let header = file.plan.header.as_bytes();
        file.write_at(&(header.len() as u64).to_le_bytes(), 0)?;
        file.write_at(header, 8)?;
        Ok(file)
    }
}

impl LogitsFile {
    /// Writes the logits of some positions of a sequence.
    ///
    /// # Errors
    /// If the disk is full, or fails.
    pub fn write(&mut self, chunk: &ScoreChunk<'_>) -> Result<()> {
        let Some(offset) = self.plan.offsets.get(chunk.sequence) else { return Ok(()) };
        let skipped = chunk.position * self.plan.vocab * size_of::<f32>();
        let bytes: Vec<u8> = chunk.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        self.write_at(&bytes, offset + skipped as u64)
    }

    /// Gives the whole file its name.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn finish(self) -> Result<()> {
        let path = &self.plan.path;
        let stored = self.file.as_file().sync_all().and_then(|()| Ok(self.file.persist(path)?));
        stored.with_context(|| cannot_write(path))?;
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let file: &File = self.file.as_file();
        file.write_all_at(bytes, offset).with_context(|| cannot_write(&self.plan.path))
    }
}

/// The directory of a file, where its beginnings must lie for the last step to be a mere renaming.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether two paths lead to one directory; the built-in model's leads to none.
fn is_same_directory(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn cannot_create(path: &Path) -> String {
    format!("cannot write {}: no file can be created in {}", path.display(), directory(path).display())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}; nothing was left there", path.display())
}
