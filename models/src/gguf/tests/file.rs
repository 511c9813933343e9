//! GGUF files in memory, right or wrong, written by hand.

/// A file to be, piece by piece.
#[derive(Clone)]
pub(super) struct GgufFile {
    pub(super) magic: [u8; 4],
    pub(super) version: u32,
    pub(super) pairs: Vec<(String, Field)>,
    pub(super) tensors: Vec<Tensor>,
    pub(super) alignment: usize,
    /// What the header claims, if not the truth.
    pub(super) claimed_pairs: Option<u64>,
    pub(super) claimed_tensors: Option<u64>,
}

/// A metadata value.
#[derive(Clone)]
pub(super) enum Field {
    U32(u32),
    F32(f32),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Integers(Vec<i32>),
    /// A type's number, and bytes.
    Raw(u32, Vec<u8>),
}

#[derive(Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    /// As the file has it, fastest first.
    pub(super) dims: Vec<u64>,
    pub(super) kind: u32,
    pub(super) data: Vec<u8>,
    /// From the start of the data; after the tensors before it, if not given.
    pub(super) offset: Option<u64>,
}

impl Default for GgufFile {
    fn default() -> Self {
        Self {
            magic: *b"GGUF",
            version: 3,
            pairs: Vec::new(),
            tensors: Vec::new(),
            alignment: 32,
            claimed_pairs: None,
            claimed_tensors: None,
        }
    }
}

impl GgufFile {
    pub(super) fn with(mut self, key: &str, value: Field) -> Self {
        self.pairs.retain(|(taken, _)| taken != key);
        self.pairs.push((key.to_owned(), value));
        self
    }

    pub(super) fn without(mut self, key: &str) -> Self {
        self.pairs.retain(|(taken, _)| taken != key);
        self
    }

    pub(super) fn with_tensor(mut self, name: &str, dims: &[u64], kind: u32, data: Vec<u8>) -> Self {
        let (name, dims) = (name.to_owned(), dims.to_vec());
        self.tensors.push(Tensor { name, dims, kind, data, offset: None });
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.claimed_tensors.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.claimed_pairs.unwrap_or(self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            text(&mut out, key);
            value.write(&mut out);
        }
        let mut at = 0;
        for tensor in &self.tensors {
            text(&mut out, &tensor.name);
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            out.extend(tensor.dims.iter().flat_map(|extent| extent.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(at).to_le_bytes());
            at = (at + tensor.data.len() as u64).next_multiple_of(self.alignment as u64);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&tensor.data);
        }
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Field {
    fn write(&self, out: &mut Vec<u8>) {
        let array = |out: &mut Vec<u8>, kind: u32, len: usize| {
            out.extend(9_u32.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((len as u64).to_le_bytes());
        };
        match self {
            Self::U32(value) => {
                out.extend(4_u32.to_le_bytes());
                out.extend(value.to_le_bytes());
            }
            Self::F32(value) => {
                out.extend(6_u32.to_le_bytes());
                out.extend(value.to_le_bytes());
            }
            Self::Text(value) => {
                out.extend(8_u32.to_le_bytes());
                text(out, value);
            }
            Self::Texts(values) => {
                array(out, 8, values.len());
                values.iter().for_each(|value| text(out, value));
            }
            Self::Floats(values) => {
                array(out, 6, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Integers(values) => {
                array(out, 5, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Raw(kind, bytes) => {
                out.extend(kind.to_le_bytes());
                out.extend(bytes);
            }
        }
    }
}
