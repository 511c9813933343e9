//! Metadata: typed values by key.

use std::ops::Range;

use super::error::{GgufError, Place};
use super::reader::Reader;

/// Arrays of arrays are in the format, but in no Gemma's metadata.
const MAX_NESTING: usize = 4;

/// The types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    /// By the numbers that the format gives them.
    const BY_ID: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    fn read(reader: &mut Reader<'_>) -> Result<Self, GgufError> {
        let offset = reader.offset();
        let id = reader.u32()?;
        let kind = usize::try_from(id).ok().and_then(|id| Self::BY_ID.get(id).copied());
        kind.ok_or_else(|| GgufError::ValueType { place: reader.place().clone(), offset, id })
    }

    /// Bytes that a value takes at least.
    const fn least_bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Text => 8,
            Self::Array => 12,
        }
    }
}

/// One value. Integers and floats of all widths are widened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array(Array),
}

/// A homogeneous array, left where it lies: a vocabulary is hundreds of thousands of strings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) kind: Kind,
    pub(super) len: usize,
    /// Its elements, from the start of the file.
    pub(super) range: Range<usize>,
}

impl Value {
    /// Reads a value's type and the value.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, GgufError> {
        let kind = Kind::read(reader)?;
        Self::of_kind(kind, reader, 0)
    }

    fn of_kind(kind: Kind, reader: &mut Reader<'_>, depth: usize) -> Result<Self, GgufError> {
        Ok(match kind {
            Kind::U8 => Self::Unsigned(u8::from_le_bytes(reader.array()?).into()),
            Kind::U16 => Self::Unsigned(u16::from_le_bytes(reader.array()?).into()),
            Kind::U32 => Self::Unsigned(reader.u32()?.into()),
            Kind::U64 => Self::Unsigned(reader.u64()?),
            Kind::I8 => Self::Signed(i8::from_le_bytes(reader.array()?).into()),
            Kind::I16 => Self::Signed(i16::from_le_bytes(reader.array()?).into()),
            Kind::I32 => Self::Signed(i32::from_le_bytes(reader.array()?).into()),
            Kind::I64 => Self::Signed(i64::from_le_bytes(reader.array()?)),
            Kind::F32 => Self::Float(f32::from_le_bytes(reader.array()?).into()),
            Kind::F64 => Self::Float(f64::from_le_bytes(reader.array()?)),
            Kind::Bool => Self::Bool(u8::from_le_bytes(reader.array()?) != 0),
            Kind::Text => Self::Text(reader.text()?.to_owned()),
            Kind::Array => Self::Array(Array::read(reader, depth)?),
        })
    }

    /// The value as an error shows it.
    pub(super) fn excerpt(&self) -> String {
        const LONGEST: usize = 60;
        match self {
            Self::Unsigned(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => match text.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
                None => format!("{text:?}"),
            },
            Self::Array(array) => format!("an array of {}", array.len),
        }
    }
}

impl Array {
    fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, GgufError> {
        if depth == MAX_NESTING {
            return Err(GgufError::Nesting { place: reader.place().clone(), offset: reader.offset() });
        }
        let kind = Kind::read(reader)?;
        let len = reader.count("elements", kind.least_bytes())?;
        let start = reader.offset();
        match kind {
            Kind::Text => {
                for _ in 0..len {
                    let bytes = reader.u64()?;
                    reader.take(bytes)?;
                }
            }
            Kind::Array => {
                for _ in 0..len {
                    Self::read(reader, depth + 1)?;
                }
            }
            fixed => {
                // `count` has seen that so many bytes are there.
                reader.take((len * fixed.least_bytes()) as u64)?;
            }
        }
        Ok(Self { kind, len, range: start..reader.offset() })
    }

    /// The elements in the file `bytes`; `key` is for errors.
    pub(super) fn values<'a>(
        &self,
        key: &str,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<Value, GgufError>> + use<'a> {
        let mut reader = self.reader(key, bytes);
        let kind = self.kind;
        (0..self.len).map(move |_| Value::of_kind(kind, &mut reader, 0))
    }

    /// The elements of an array of strings.
    pub(super) fn texts<'a>(
        &self,
        key: &str,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<&'a str, GgufError>> + use<'a> {
        let mut reader = self.reader(key, bytes);
        (0..self.len).map(move |_| reader.text())
    }

    fn reader<'a>(&self, key: &str, bytes: &'a [u8]) -> Reader<'a> {
        Reader::starting_at(bytes, self.range.start, Place::Key(key.to_owned()))
    }
}
