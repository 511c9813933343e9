//! Safetensors files whose tensors come in pieces.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use crate::files;
use crate::writing::{Layout, OutputDirectory, WriteError};

/// Writes a checkpoint's files into a directory, one file after the other.
pub(super) struct Writer<'a> {
    output: &'a OutputDirectory,
    layout: &'a Layout,
    names: Vec<String>,
    /// The file that was written to last, and its number.
    open: Option<(usize, File)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: &'a OutputDirectory, layout: &'a Layout) -> Self {
        Self { output, layout, names: layout.file_names(), open: None }
    }

    /// Writes `bytes` into the tensor `name` of the layout, from its byte number `from` on. All tensors of a file are
    /// written before the first of the next.
    pub(super) fn write(&mut self, name: &str, from: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let Some((number, place)) = self.layout.place(name) else { return Ok(()) };
        let path = self.output.path().join(self.names.get(number).map_or("", String::as_str));
        let mut write = || -> io::Result<()> {
            let file = match &mut self.open {
                Some((open, file)) if *open == number => file,
                open => {
                    let mut file = File::create_new(&path)?;
                    file.write_all(&self.layout.header(number))?;
                    &mut open.insert((number, file)).1
                }
            };
            file.seek(SeekFrom::Start(place + from))?;
            file.write_all(bytes)
        };
        write().map_err(|source| WriteError::File { path: path.clone(), source })
    }

    /// Writes the index, where there are several files.
    pub(super) fn finish(self) -> Result<(), WriteError> {
        match self.layout.index_json() {
            None => Ok(()),
            Some(index) => self.output.write(files::WEIGHTS_INDEX, index),
        }
    }
}
