//! The header of a safetensors file: eight bytes of length, JSON, then the data it describes.
//!
//! Nothing in the header is believed before it is checked: offsets must tile the data section exactly, and each
//! range must have the size its dtype and shape call for.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::dtype::TensorDtype;

/// The format's own limit on a header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
const LENGTH_BYTES: usize = 8;

/// Why a safetensors file is refused. Offsets are in bytes from the start of the file's data section.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Not even the header's length fits in the file.
    #[error(
        "the file has {file_len} bytes, fewer than the 8 that begin a safetensors file; is it truncated?"
    )]
    TooShort {
        /// Length of the file.
        file_len: u64,
    },
    /// The header's length exceeds the file or the format's limit.
    #[error(
        "the header claims {header_len} bytes, but the file has {file_len} and the format allows \
         {MAX_HEADER_BYTES}; the file is truncated or not safetensors"
    )]
    Length {
        /// Length that the first eight bytes claim.
        header_len: u64,
        /// Length of the file.
        file_len: u64,
    },
    /// The header is not text.
    #[error("the header is not UTF-8")]
    Utf8(#[source] std::str::Utf8Error),
    /// The header is not the JSON object that the format prescribes.
    #[error("the header is not a safetensors header")]
    Json(#[source] serde_json::Error),
    /// Two entries have one name.
    #[error("tensor `{tensor}` appears twice in the header")]
    Duplicate {
        /// The name.
        tensor: String,
    },
    /// A tensor's element type is none that a Gemma checkpoint has.
    #[error(
        "tensor `{tensor}` has dtype `{dtype}`; supported are F32, BF16 and F16, and codes of 8 bits (I8) or of 4 \
         (packed in I32)"
    )]
    Dtype {
        /// The tensor.
        tensor: String,
        /// Its dtype as the file spells it.
        dtype: String,
    },
    /// A tensor lies, at least partly, outside the file.
    #[error(
        "tensor `{tensor}` is at bytes {begin}..{end} of a data section of {data_len} bytes; \
         the file is truncated or its offsets are wrong"
    )]
    Offsets {
        /// The tensor.
        tensor: String,
        /// Its first byte.
        begin: u64,
        /// The byte after its last.
        end: u64,
        /// Length of the data section.
        data_len: u64,
    },
    /// A tensor's range is not as long as its dtype and shape make it.
    #[error(
        "tensor `{tensor}` of dtype {dtype} and shape {dims:?} is at bytes {begin}..{end}, {} bytes long, \
         but needs {}",
        end - begin,
        expected.map_or_else(|| "more than can be addressed".into(), |bytes| bytes.to_string())
    )]
    Size {
        /// The tensor.
        tensor: String,
        /// Its dtype.
        dtype: TensorDtype,
        /// Its shape.
        dims: Vec<u64>,
        /// Its first byte.
        begin: u64,
        /// The byte after its last.
        end: u64,
        /// The length it should have; `None` if that overflows.
        expected: Option<u64>,
    },
    /// Two tensors share bytes.
    #[error(
        "tensor `{tensor}` begins at byte {begin}, before tensor `{previous}` ends at byte {previous_end}"
    )]
    Overlap {
        /// The later tensor.
        tensor: String,
        /// Its first byte.
        begin: u64,
        /// The tensor before it.
        previous: String,
        /// The byte after that one's last.
        previous_end: u64,
    },
    /// Bytes that belong to no tensor.
    #[error("bytes {begin}..{end} of the data section belong to no tensor{}", before(next.as_deref()))]
    Gap {
        /// First such byte.
        begin: u64,
        /// The byte after the last.
        end: u64,
        /// The tensor that follows; `None` at the end of the file.
        next: Option<String>,
    },
}

fn before(next: Option<&str>) -> String {
    next.map_or_else(|| " (at the end of the file)".into(), |next| format!(" (before `{next}`)"))
}

/// One tensor of a file, checked.
#[derive(Debug)]
pub(super) struct HeaderTensor {
    pub(super) name: String,
    pub(super) dtype: TensorDtype,
    pub(super) dims: Vec<usize>,
    /// Where its elements are, from the start of the file.
    pub(super) range: std::ops::Range<usize>,
}

/// Reads and checks the header at the start of `file`, the whole content of a safetensors file.
pub(super) fn parse(file: &[u8]) -> Result<Vec<HeaderTensor>, HeaderError> {
    let file_len = file.len() as u64;
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(HeaderError::TooShort { file_len });
    };
    let header_len = u64::from_le_bytes(*length);
    let split = usize::try_from(header_len).ok().filter(|_| header_len <= MAX_HEADER_BYTES);
    let Some((header, data)) = split.and_then(|at| rest.split_at_checked(at)) else {
        return Err(HeaderError::Length { header_len, file_len });
    };
    let header = std::str::from_utf8(header).map_err(HeaderError::Utf8)?;
    let RawHeader(mut entries) = serde_json::from_str(header).map_err(HeaderError::Json)?;
    refuse_duplicates(&entries)?;

    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    check_tiling(&entries, data.len() as u64)?;
    let data_start = file.len() - data.len();
    entries.into_iter().map(|(name, entry)| entry.check(name, data_start)).collect()
}

fn refuse_duplicates(entries: &[(String, RawTensor)]) -> Result<(), HeaderError> {
    let mut seen = HashSet::with_capacity(entries.len());
    match entries.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(HeaderError::Duplicate { tensor: name.clone() }),
        None => Ok(()),
    }
}

/// Checks that the ranges, which are in order of their offsets, follow one another from 0 to `data_len`.
fn check_tiling(entries: &[(String, RawTensor)], data_len: u64) -> Result<(), HeaderError> {
    let mut previous: Option<&String> = None;
    let mut covered = 0;
    for (name, entry) in entries {
        let (begin, end) = entry.data_offsets;
        if begin > end || end > data_len {
            return Err(HeaderError::Offsets { tensor: name.clone(), begin, end, data_len });
        }
        if begin > covered {
            return Err(HeaderError::Gap { begin: covered, end: begin, next: Some(name.clone()) });
        }
        if let Some(previous) = previous
            && begin < covered
        {
            return Err(HeaderError::Overlap {
                tensor: name.clone(),
                begin,
                previous: previous.clone(),
                previous_end: covered,
            });
        }
        previous = Some(name);
        covered = end;
    }
    if covered < data_len {
        return Err(HeaderError::Gap { begin: covered, end: data_len, next: None });
    }
    Ok(())
}

/// An entry as the header has it.
#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl RawTensor {
    /// Checks what tiling has not: dtype, and size against shape. Offsets are known to lie in the file.
    fn check(self, name: String, data_start: usize) -> Result<HeaderTensor, HeaderError> {
        let Some(dtype) = TensorDtype::from_safetensors_name(&self.dtype) else {
            return Err(HeaderError::Dtype { tensor: name, dtype: self.dtype });
        };
        let (begin, end) = self.data_offsets;
        let expected =
            self.shape.iter().try_fold(dtype.size() as u64, |bytes, extent| bytes.checked_mul(*extent));
        if expected != Some(end - begin) {
            return Err(HeaderError::Size { tensor: name, dtype, dims: self.shape, begin, end, expected });
        }
        // A product with a zero in it bounds none of its factors, so each extent is converted on its own; an
        // extent that no address space holds becomes a size error like any other.
        let dims = self.shape.iter().map(|extent| usize::try_from(*extent)).collect::<Result<Vec<_>, _>>();
        let Ok(dims) = dims else {
            let (dims, expected) = (self.shape, None);
            return Err(HeaderError::Size { tensor: name, dtype, dims, begin, end, expected });
        };
        let range = data_start + begin as usize..data_start + end as usize;
        Ok(HeaderTensor { name, dtype, dims, range })
    }
}

/// The entries in the order of the file, `__metadata__` left out; a plain map would hide duplicates.
struct RawHeader(Vec<(String, RawTensor)>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(RawHeader(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dtype::StoredDtype;

    fn file(header: &str, data_len: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data_len, 0);
        bytes
    }

    fn error(header: &str, data_len: usize) -> HeaderError {
        parse(&file(header, data_len)).unwrap_err()
    }

    #[test]
    fn a_sound_file_is_read() {
        let header = r#"{"__metadata__":{"format":"pt"},
            "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},
            "a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},
            "empty":{"dtype":"F16","shape":[0,7],"data_offsets":[12,12]}}"#;
        let tensors = parse(&file(header, 12)).unwrap();
        let data_start = 8 + header.len();
        assert_eq!(tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b", "empty"]);
        assert_eq!(tensors[1].range, data_start + 4..data_start + 12);
        assert_eq!(tensors[0].dims, [2, 1]);
        assert_eq!(tensors[0].dtype, TensorDtype::Float(StoredDtype::Bf16));
    }

    #[test]
    fn lengths_that_lie() {
        assert!(matches!(parse(b""), Err(HeaderError::TooShort { file_len: 0 })));
        assert!(matches!(parse(b"1234567"), Err(HeaderError::TooShort { file_len: 7 })));
        for claimed in [10_u64.pow(18), u64::MAX, 3, 200_000_000] {
            let mut bytes = claimed.to_le_bytes().to_vec();
            bytes.extend_from_slice(b"{}");
            let message = parse(&bytes).unwrap_err().to_string();
            assert!(message.contains(&claimed.to_string()), "{message}");
        }
    }

    #[test]
    fn headers_that_are_not_headers() {
        assert!(matches!(parse(&[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), Err(HeaderError::Utf8(_))));
        for header in ["", "{", "[]", "null", "{\"a\": 1}", r#"{"a":{"dtype":"F32","shape":[-1]}}"#, "{} x"] {
            assert!(matches!(error(header, 0), HeaderError::Json(_)), "{header}");
        }
        // Nesting deep enough to overflow a stack must not.
        assert!(matches!(error(&"[".repeat(100_000), 0), HeaderError::Json(_)));
        let nested = format!("{{\"__metadata__\":{}", "[".repeat(100_000));
        assert!(matches!(error(&nested, 0), HeaderError::Json(_)));
    }

    #[test]
    fn tensors_that_lie() {
        let two = |a: &str, b: &str| {
            format!(
                r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{a}}},
                     "b":{{"dtype":"F32","shape":[2],"data_offsets":{b}}}}}"#
            )
        };
        assert!(parse(&file(&two("[0,8]", "[8,16]"), 16)).is_ok());
        let past_the_end = error(&two("[0,8]", "[8,16]"), 15);
        assert!(matches!(&past_the_end, HeaderError::Offsets { tensor, data_len: 15, .. } if tensor == "b"));
        let far = error(&two("[0,8]", "[8,1000000000000000000]"), 16);
        assert!(matches!(&far, HeaderError::Offsets { tensor, .. } if tensor == "b"));
        let reversed = error(&two("[8,0]", "[8,16]"), 16);
        assert!(matches!(&reversed, HeaderError::Offsets { tensor, .. } if tensor == "a"));
        let overlapping = error(&two("[0,8]", "[4,12]"), 12);
        assert!(matches!(&overlapping, HeaderError::Overlap { tensor, .. } if tensor == "b"));
        let gap = error(&two("[0,8]", "[12,20]"), 20);
        assert!(matches!(&gap, HeaderError::Gap { begin: 8, end: 12, next: Some(next) } if next == "b"));
        assert!(matches!(error(&two("[4,12]", "[12,20]"), 20), HeaderError::Gap { begin: 0, .. }));
        let trailing = error(&two("[0,8]", "[8,16]"), 20);
        assert!(matches!(trailing, HeaderError::Gap { begin: 16, end: 20, next: None }));
        assert!(matches!(error(&two("[0,4]", "[4,12]"), 12), HeaderError::Size { .. }));
    }

    #[test]
    fn shapes_and_dtypes_that_lie() {
        let one = |dtype: &str, shape: &str| {
            format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,8]}}}}"#)
        };
        assert!(matches!(error(&one("F64", "[1]"), 8), HeaderError::Dtype { .. }));
        assert!(matches!(error(&one("F32", "[3]"), 8), HeaderError::Size { expected: Some(12), .. }));
        let huge = error(&one("F32", "[4294967296,4294967296,4294967296]"), 8);
        assert!(matches!(huge, HeaderError::Size { expected: None, .. }));
        assert!(huge.to_string().contains("more than can be addressed"), "{huge}");
        let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                        "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        assert!(matches!(error(twice, 8), HeaderError::Duplicate { .. }));
    }

    const SOUND: &str = r#"{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
                            "b":{"dtype":"BF16","shape":[4],"data_offsets":[8,16]}}"#;

    proptest! {
        /// Whatever is accepted lies in the file and has the size of its shape; nothing panics.
        #[test]
        fn damage_is_refused_or_harmless(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            keep in any::<prop::sample::Index>(),
            truncate in any::<bool>(),
        ) {
            let mut bytes = file(SOUND, 16);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if truncate {
                bytes.truncate(keep.index(bytes.len()));
            }
            for tensor in parse(&bytes).unwrap_or_default() {
                let elements: usize = tensor.dims.iter().product();
                prop_assert!(tensor.range.end <= bytes.len());
                prop_assert_eq!(tensor.range.len(), elements * tensor.dtype.size());
            }
        }
    }
}
