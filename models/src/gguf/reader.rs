//! Little-endian numbers and strings from the bytes of a file that may be damaged.

use super::error::{GgufError, Place};

/// Longest string that a key or a tensor's name may be; the format's own limit on keys.
const MAX_NAME_BYTES: u64 = 65_535;

/// Reads from the front of a file. Every read is checked against the file's end, and an error says at which byte
/// and while reading what.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    place: Place,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self::starting_at(bytes, 0, Place::Header)
    }

    /// A reader of `bytes` that begins at byte `at`.
    pub(super) const fn starting_at(bytes: &'a [u8], at: usize, place: Place) -> Self {
        Self { bytes, at, place }
    }

    /// Says what is being read from here on, for errors.
    pub(super) fn enter(&mut self, place: Place) {
        self.place = place;
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Byte of the file that is read next.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    /// Bytes from here to the end of the file.
    pub(super) const fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(super) fn take(&mut self, len: u64) -> Result<&'a [u8], GgufError> {
        let taken = usize::try_from(len)
            .ok()
            .and_then(|len| self.bytes.get(self.at..)?.get(..len))
            .ok_or_else(|| GgufError::Truncated {
                place: self.place.clone(),
                offset: self.at,
                needed: len,
                left: self.remaining(),
            })?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let bytes = self.take(N as u64)?;
        // `take` gave exactly N bytes.
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A string: its length in bytes, then as many bytes of UTF-8.
    pub(super) fn text(&mut self) -> Result<&'a str, GgufError> {
        let len = self.u64()?;
        let offset = self.at;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| GgufError::Utf8 { place: self.place.clone(), offset })
    }

    /// The name of a key or of a tensor.
    pub(super) fn name(&mut self) -> Result<&'a str, GgufError> {
        let offset = self.at;
        let text = self.text()?;
        if text.len() as u64 > MAX_NAME_BYTES {
            return Err(GgufError::LongName { place: self.place.clone(), offset, len: text.len() });
        }
        Ok(text)
    }

    /// Checks a count of things, each of at least `least` bytes, against what is left of the file, so that nothing
    /// is allocated for a count that cannot be true.
    pub(super) fn count(&mut self, what: &'static str, least: usize) -> Result<usize, GgufError> {
        let offset = self.at;
        let count = self.u64()?;
        let room = self.remaining() / least;
        usize::try_from(count).ok().filter(|count| *count <= room).ok_or_else(|| GgufError::Count {
            place: self.place.clone(),
            offset,
            what,
            count,
            left: self.remaining(),
        })
    }
}
