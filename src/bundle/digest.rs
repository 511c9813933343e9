//! Sizes and digests of files.

use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Size of a file in bytes, and its SHA-256 in hexadecimal.
pub(super) fn size_and_sha256(path: &Path) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((bytes, hexadecimal(&hasher.finalize())))
}

/// Bytes as two hexadecimal digits each.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As much of a digest as tells it from others.
pub(super) fn shown(sha256: &str) -> String {
    format!("{}...", sha256.get(..12).unwrap_or(sha256))
}
