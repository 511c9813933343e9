//! Logits as a safetensors file, written as they come.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lapidary::engine::ScoreChunk;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

/// A file in the making; it appears under its name only when it is whole.
pub struct LogitsFile {
    file: NamedTempFile,
    path: PathBuf,
    /// Offset of each sequence's logits in the file.
    offsets: Vec<u64>,
    vocab: usize,
}

impl LogitsFile {
    /// A file with room for `[tokens, vocab]` f32 of each sequence.
    ///
    /// # Errors
    /// If it cannot be created beside `path`.
    pub fn create(path: &Path, sequences: &[Vec<u32>], vocab: usize) -> Result<Self> {
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

        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(directory)
            .with_context(|| format!("cannot create a file in {}", directory.display()))?;
        let written = Self {
            offsets: ends.iter().map(|end| data + end).collect(),
            path: path.to_path_buf(),
            file,
            vocab,
        };
        written.write_at(&(header.len() as u64).to_le_bytes(), 0)?;
        written.write_at(header.as_bytes(), 8)?;
        Ok(written)
    }

    /// Writes the logits of some positions of a sequence.
    ///
    /// # Errors
    /// If the disk is full, or fails.
    pub fn write(&mut self, chunk: &ScoreChunk<'_>) -> Result<()> {
        let Some(offset) = self.offsets.get(chunk.sequence) else { return Ok(()) };
        let skipped = chunk.position * self.vocab * size_of::<f32>();
        let bytes: Vec<u8> = chunk.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        self.write_at(&bytes, offset + skipped as u64)
    }

    /// Gives the whole file its name.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn finish(self) -> Result<()> {
        let path = self.path.clone();
        self.file.as_file().sync_all().with_context(|| format!("cannot write {}", path.display()))?;
        self.file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let file: &File = self.file.as_file();
        file.write_all_at(bytes, offset).with_context(|| format!("cannot write {}", self.path.display()))
    }
}
