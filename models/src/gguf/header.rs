//! The header of a GGUF file: metadata, then what tensors there are and where.
//!
//! Nothing in it is believed before it is checked: counts against the bytes that follow, offsets and sizes against
//! the file and against each other.

use std::collections::HashSet;
use std::ops::Range;

use super::error::{GgufError, Place};
use super::metadata::Metadata;
use super::reader::Reader;
use super::tensor_type::{TensorType, unreadable_name};
use super::value::Value;

/// How every GGUF file begins.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";
const MAX_RANK: u32 = 4;
/// Bytes of a name of no length and a value of one byte.
const LEAST_PAIR_BYTES: usize = 8 + 4 + 1;
/// Bytes of a tensor's description with no name and no dimensions.
const LEAST_TENSOR_BYTES: usize = 8 + 4 + 4 + 8;
const DEFAULT_ALIGNMENT: u64 = 32;

/// What a file says of itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: Metadata,
    /// In the order of their bytes.
    pub(super) tensors: Vec<TensorInfo>,
}

/// One tensor of a file, checked.
#[derive(Debug)]
pub(super) struct TensorInfo {
    pub(super) name: String,
    pub(super) kind: TensorType,
    /// Shape as the rest of this crate has it: the file has the fastest dimension first, this has it last.
    pub(super) dims: Vec<usize>,
    /// Where its elements are, from the start of the file.
    pub(super) range: Range<usize>,
}

/// Reads and checks the header of `file`, the whole content of a GGUF file.
pub(super) fn parse(file: &[u8]) -> Result<Header, GgufError> {
    let mut reader = Reader::new(file);
    check_version(&mut reader)?;
    let tensor_count = reader.count("tensors", LEAST_TENSOR_BYTES)?;
    let pair_count = reader.count("keys", LEAST_PAIR_BYTES)?;

    let mut metadata = Metadata::default();
    for index in 0..pair_count {
        reader.enter(Place::PairNumber(index));
        let key = reader.name()?.to_owned();
        reader.enter(Place::Key(key.clone()));
        let value = Value::read(&mut reader)?;
        metadata.insert(key, value)?;
    }
    let mut raw = Vec::new();
    for index in 0..tensor_count {
        raw.push(RawTensor::read(&mut reader, index)?);
    }
    refuse_duplicates(&raw)?;

    let alignment = alignment(&metadata)?;
    let data_start = reader.offset().checked_next_multiple_of(alignment as usize).unwrap_or(file.len());
    let data = Data { start: data_start, len: file.len().saturating_sub(data_start), alignment };
    let mut tensors = raw.into_iter().map(|raw| data.place(raw)).collect::<Result<Vec<_>, _>>()?;
    tensors.sort_by_key(|tensor| tensor.range.start);
    refuse_overlaps(&tensors)?;
    Ok(Header { metadata, tensors })
}

fn check_version(reader: &mut Reader<'_>) -> Result<(), GgufError> {
    let magic: [u8; 4] = reader.array()?;
    if magic != MAGIC {
        return Err(GgufError::Magic { found: magic.escape_ascii().to_string() });
    }
    match reader.u32()? {
        2 | 3 => Ok(()),
        version if version.swap_bytes() < 1 << 16 => Err(GgufError::BigEndian),
        version => Err(GgufError::Version { version }),
    }
}

/// What tensors begin at multiples of.
fn alignment(metadata: &Metadata) -> Result<u64, GgufError> {
    const KEY: &str = "general.alignment";
    const GREATEST: u64 = 1 << 20;
    let alignment = metadata.unsigned(KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > GREATEST {
        return Err(GgufError::Value {
            key: KEY.to_owned(),
            expected: format!("a power of two up to {GREATEST}"),
            found: alignment.to_string(),
        });
    }
    Ok(alignment)
}

/// A tensor as the file describes it.
struct RawTensor {
    name: String,
    /// Fastest dimension first.
    dims: Vec<u64>,
    kind: TensorType,
    /// From the start of the data.
    offset: u64,
}

impl RawTensor {
    fn read(reader: &mut Reader<'_>, index: usize) -> Result<Self, GgufError> {
        reader.enter(Place::TensorNumber(index));
        let name = reader.name()?.to_owned();
        reader.enter(Place::Tensor(name.clone()));
        let count = reader.u32()?;
        if count > MAX_RANK {
            return Err(GgufError::Rank { tensor: name, count });
        }
        let dims = (0..count).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
        let id = reader.u32()?;
        let offset = reader.u64()?;
        let Some(kind) = TensorType::of(id) else {
            return Err(GgufError::TensorType { tensor: name, found: unreadable_name(id) });
        };
        Ok(Self { name, dims, kind, offset })
    }
}

fn refuse_duplicates(tensors: &[RawTensor]) -> Result<(), GgufError> {
    let mut seen = HashSet::with_capacity(tensors.len());
    match tensors.iter().find(|tensor| !seen.insert(&tensor.name)) {
        Some(tensor) => Err(GgufError::Duplicate { place: Place::Tensor(tensor.name.clone()) }),
        None => Ok(()),
    }
}

/// The part of a file after its header.
struct Data {
    start: usize,
    len: usize,
    alignment: u64,
}

impl Data {
    fn place(&self, raw: RawTensor) -> Result<TensorInfo, GgufError> {
        let RawTensor { name: tensor, dims, kind, offset } = raw;
        if dims.contains(&0) {
            return Err(GgufError::Empty { tensor, dims });
        }
        let row = dims.first().copied().unwrap_or(1);
        let block = kind.block_elements();
        if !row.is_multiple_of(block as u64) {
            return Err(GgufError::Rows { tensor, row, kind: kind.name(), block });
        }
        if !offset.is_multiple_of(self.alignment) {
            return Err(GgufError::Unaligned { tensor, offset, alignment: self.alignment });
        }
        let placed = byte_len(&dims, kind).and_then(|len| {
            let begin = usize::try_from(offset).ok()?;
            let end = begin.checked_add(len).filter(|end| *end <= self.len)?;
            let extents: Option<Vec<usize>> =
                dims.iter().rev().map(|extent| usize::try_from(*extent).ok()).collect();
            Some((extents?, self.start + begin..self.start + end))
        });
        match placed {
            Some((dims, range)) => Ok(TensorInfo { name: tensor, kind, dims, range }),
            None => Err(GgufError::OutOfFile { tensor, dims, offset, data_len: self.len }),
        }
    }
}

/// Bytes of a tensor; `None` if there are more than can be addressed.
fn byte_len(dims: &[u64], kind: TensorType) -> Option<usize> {
    let elements = dims.iter().try_fold(1_u64, |product, extent| product.checked_mul(*extent))?;
    let bytes = (elements / kind.block_elements() as u64).checked_mul(kind.block_bytes() as u64)?;
    usize::try_from(bytes).ok()
}

fn refuse_overlaps(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let overlap = tensors.windows(2).find_map(|pair| match pair {
        [first, second] if second.range.start < first.range.end => Some((first, second)),
        _ => None,
    });
    match overlap {
        Some((first, second)) => {
            Err(GgufError::Overlap { first: first.name.clone(), second: second.name.clone() })
        }
        None => Ok(()),
    }
}
