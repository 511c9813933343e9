//! Which safetensors file holds which tensor, and where: known before any data is.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::dtype::TensorDtype;
use crate::files;

/// Tensor data begins at a multiple of this, so that a mapped tensor can be used where it lies.
const DATA_ALIGNMENT: u64 = 64;
const HEADER_LENGTH_BYTES: usize = 8;

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: TensorDtype,
    pub(crate) dims: Vec<usize>,
}

impl Entry {
    pub(crate) fn byte_count(&self) -> u64 {
        (self.dims.iter().product::<usize>() * self.dtype.size()) as u64
    }

    /// What would shift others off their alignment goes behind them, and there larger elements first, as the
    /// format's own writers order them: every element then lies at a multiple of its size.
    fn order(&self) -> (bool, usize) {
        let shifts = !self.byte_count().is_multiple_of(DATA_ALIGNMENT);
        (shifts, if shifts { usize::MAX - self.dtype.size() } else { 0 })
    }
}

/// The files of a checkpoint, and what lies where in each.
pub(crate) struct Layout {
    files: Vec<Vec<Entry>>,
    /// File and place in it, from the file's first byte.
    places: HashMap<String, (usize, u64)>,
}

impl Layout {
    /// Distributes modules over files of at most `max_bytes` of data, or of one module. Tensors of a module stay in
    /// one file.
    pub(crate) fn new(modules: impl IntoIterator<Item = Vec<Entry>>, max_bytes: u64) -> Self {
        let mut files = vec![Vec::new()];
        let mut filled = 0;
        for module in modules {
            let bytes = module.iter().map(Entry::byte_count).sum::<u64>();
            if filled > 0 && filled + bytes > max_bytes {
                files.push(Vec::new());
                filled = 0;
            }
            filled += bytes;
            if let Some(file) = files.last_mut() {
                file.extend(module);
            }
        }
        for file in &mut files {
            file.sort_by_key(Entry::order);
        }
        let mut layout = Self { files, places: HashMap::new() };
        for file in 0..layout.files.len() {
            let mut place = layout.header(file).len() as u64;
            for entry in layout.files.get(file).into_iter().flatten() {
                layout.places.insert(entry.name.clone(), (file, place));
                place += entry.byte_count();
            }
        }
        layout
    }

    /// The tensors of file number `file`, in the order of their places.
    pub(crate) fn entries(&self, file: usize) -> &[Entry] {
        self.files.get(file).map_or(&[], Vec::as_slice)
    }

    /// The number of the file that holds `name`, and where in it the tensor begins.
    pub(crate) fn place(&self, name: &str) -> Option<(usize, u64)> {
        self.places.get(name).copied()
    }

    /// Bytes of all tensors.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.files.iter().flatten().map(Entry::byte_count).sum()
    }

    /// Bytes of all files, headers included.
    pub(crate) fn file_bytes(&self) -> u64 {
        let headers = (0..self.files.len()).map(|file| self.header(file).len() as u64);
        self.data_bytes() + headers.sum::<u64>()
    }

    /// The files' names, as Hugging Face's.
    pub(crate) fn file_names(&self) -> Vec<String> {
        match self.files.len() {
            1 => vec![files::WEIGHTS.to_owned()],
            count => (1..=count).map(|file| format!("model-{file:05}-of-{count:05}.safetensors")).collect(),
        }
    }

    /// The text of `model.safetensors.index.json`; `None` for a single file, which needs none.
    pub(crate) fn index_json(&self) -> Option<String> {
        if self.files.len() == 1 {
            return None;
        }
        let names = self.file_names();
        let weight_map: BTreeMap<_, _> = names
            .iter()
            .zip(&self.files)
            .flat_map(|(name, entries)| entries.iter().map(move |entry| (&entry.name, name)))
            .collect();
        let index = json!({"metadata": {"total_size": self.data_bytes()}, "weight_map": weight_map});
        Some(format!("{index:#}\n"))
    }

    /// What file number `file` begins with.
    pub(crate) fn header(&self, file: usize) -> Vec<u8> {
        let mut entries = Map::new();
        entries.insert("__metadata__".to_owned(), json!({"format": "pt"}));
        let mut begin = 0;
        for entry in self.entries(file) {
            let end = begin + entry.byte_count();
            let value = json!({"dtype": entry.dtype.safetensors_name(), "shape": entry.dims, "data_offsets": [begin, end]});
            entries.insert(entry.name.clone(), value);
            begin = end;
        }
        let mut text = Value::Object(entries).to_string();
        let padded = (HEADER_LENGTH_BYTES + text.len()).next_multiple_of(DATA_ALIGNMENT as usize);
        // The format allows spaces at the end for this very purpose.
        text.extend(std::iter::repeat_n(' ', padded - HEADER_LENGTH_BYTES - text.len()));
        let mut header = (text.len() as u64).to_le_bytes().to_vec();
        header.extend_from_slice(text.as_bytes());
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::StoredDtype;

    const BF16: TensorDtype = TensorDtype::Float(StoredDtype::Bf16);

    fn entry(name: &str, dtype: TensorDtype, count: usize) -> Entry {
        Entry { name: name.to_owned(), dtype, dims: vec![count] }
    }

    #[test]
    fn what_would_shift_others_lies_behind_them() {
        let layout = Layout::new(
            [
                vec![entry("a", TensorDtype::I8, 3), entry("b", BF16, 5), entry("c", TensorDtype::I64, 2)],
                vec![entry("d", TensorDtype::I32, 16)],
            ],
            u64::MAX,
        );
        let names: Vec<&str> = layout.entries(0).iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["d", "c", "b", "a"]);
        let header = layout.header(0).len() as u64;
        assert!(header.is_multiple_of(64));
        assert_eq!(layout.place("d"), Some((0, header)));
        assert_eq!(layout.place("b"), Some((0, header + 64 + 16)));
        assert_eq!(layout.file_bytes(), header + 64 + 16 + 10 + 3);
        assert_eq!(layout.index_json(), None);
    }

    #[test]
    fn a_module_is_not_divided() {
        let module =
            |name: &str| vec![entry(name, TensorDtype::I8, 64), entry(&format!("{name}.scale"), BF16, 32)];
        let layout = Layout::new([module("a"), module("b"), module("c")], 300);
        assert_eq!(layout.file_names().len(), 2);
        assert_eq!(layout.place("b.scale").map(|(file, _)| file), Some(0));
        assert_eq!(layout.place("c").map(|(file, _)| file), Some(1));
        assert!(layout.index_json().is_some_and(|index| index.contains("model-00002-of-00002.safetensors")));
        // One that is larger than a file may be has one for itself.
        assert_eq!(Layout::new([module("a"), module("b")], 1).file_names().len(), 2);
    }
}
