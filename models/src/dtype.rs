//! The element types that tensors of a Gemma checkpoint may have.

use std::fmt;

/// Element type of stored numbers: the three that Gemma checkpoints are published in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoredDtype {
    /// IEEE binary32.
    F32,
    /// bfloat16: the upper half of a binary32.
    Bf16,
    /// IEEE binary16.
    F16,
}

impl StoredDtype {
    /// Every stored dtype.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// The name the safetensors format gives the type: `F32`, `BF16`, `F16`.
    pub const fn safetensors_name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
        }
    }

    /// The name that `config.json` gives the type: `float32`, `bfloat16`, `float16`.
    pub const fn config_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }

    pub(crate) fn from_config_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("torch.").unwrap_or(name);
        Self::ALL.into_iter().find(|dtype| dtype.config_name() == name)
    }
}

impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

/// Element type of any tensor of a checkpoint or of what programs take of it: a weight's values, or what they are encoded
/// in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorDtype {
    /// Numbers: values, scales, offsets.
    Float(StoredDtype),
    /// Codes of 4 bits as programs take them by groups: of a byte each in this machine's memory, with their sign. No file has
    /// them.
    I4,
    /// Codes of 8 bits.
    I8,
    /// Bytes, each of two codes of 4 bits.
    U8,
    /// Words, each of several codes.
    I32,
    /// Sizes.
    I64,
}

impl TensorDtype {
    /// Those that files have.
    const STORED: [Self; 7] = [
        Self::Float(StoredDtype::F32),
        Self::Float(StoredDtype::Bf16),
        Self::Float(StoredDtype::F16),
        Self::I8,
        Self::U8,
        Self::I32,
        Self::I64,
    ];

    /// Bytes of one element in a file, or in this machine's memory.
    pub const fn size(self) -> usize {
        match self {
            Self::Float(dtype) => dtype.size(),
            Self::I4 | Self::I8 | Self::U8 => 1,
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// The type of numbers; `None` for integers.
    pub const fn float(self) -> Option<StoredDtype> {
        match self {
            Self::Float(dtype) => Some(dtype),
            Self::I4 | Self::I8 | Self::U8 | Self::I32 | Self::I64 => None,
        }
    }

    /// The name the safetensors format gives the type, such as `BF16`.
    pub const fn safetensors_name(self) -> &'static str {
        match self {
            Self::Float(dtype) => dtype.safetensors_name(),
            Self::I4 => "I4",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::I32 => "I32",
            Self::I64 => "I64",
        }
    }

    pub(crate) fn from_safetensors_name(name: &str) -> Option<Self> {
        Self::STORED.into_iter().find(|dtype| dtype.safetensors_name() == name)
    }
}

impl From<StoredDtype> for TensorDtype {
    fn from(dtype: StoredDtype) -> Self {
        Self::Float(dtype)
    }
}

impl fmt::Display for TensorDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(dtype) => dtype.fmt(f),
            Self::I4 => f.write_str("i4"),
            Self::I8 => f.write_str("i8"),
            Self::U8 => f.write_str("u8"),
            Self::I32 => f.write_str("i32"),
            Self::I64 => f.write_str("i64"),
        }
    }
}
