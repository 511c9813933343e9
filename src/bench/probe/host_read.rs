//! How fast this machine's processors read its memory.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use crate::bench::BenchError;

/// What is looked for.
const ABSENT: u8 = 0;
/// What the buffer holds, in blocks: copying these is quick in a debug build as well.
static BLOCK: [u8; 1 << 16] = [1; 1 << 16];

/// Reads a buffer of `bytes` bytes by `threads` threads at the same time, each its part, `repetitions` times, and
/// returns the bytes a second of each.
///
/// To find that a byte does not occur, every byte must be looked at; `memchr` does so with the widest loads that the
/// processor has, which it looks up at run time, and so does not fall behind the memory even in a debug build.
///
/// # Errors
/// If there is no room for the buffer.
pub(super) fn bandwidths(bytes: usize, threads: usize, repetitions: usize) -> Result<Vec<f64>, BenchError> {
    let part = bytes / threads.max(1);
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for _ in 0..threads.max(1) {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(part).map_err(|_| BenchError::ProbeMemory { bytes })?;
        parts.push(buffer);
    }
    // The thread that writes a page first decides on which processor's memory it lies. Unwritten pages would all be
    // the same one.
    thread::scope(|scope| {
        for buffer in &mut parts {
            scope.spawn(|| fill(buffer, part));
        }
    });
    let read = |_| {
        let started = Instant::now();
        thread::scope(|scope| {
            for buffer in &parts {
                scope.spawn(|| black_box(memchr::memchr(ABSENT, black_box(buffer))));
            }
        });
        (part * parts.len()) as f64 / started.elapsed().as_secs_f64().max(1e-9)
    };
    Ok((0..repetitions).map(read).collect())
}

/// Makes `buffer`, which has room for them, `len` bytes long.
fn fill(buffer: &mut Vec<u8>, len: usize) {
    while buffer.len() < len {
        let missing = len - buffer.len();
        buffer.extend_from_slice(BLOCK.get(..missing).unwrap_or(&BLOCK));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_repetition_is_a_rate() {
        let rates = bandwidths((5 << 20) + 3, 3, 4).unwrap();
        assert_eq!(rates.len(), 4);
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 0.0), "{rates:?}");
        assert!(matches!(bandwidths(usize::MAX / 2, 1, 1), Err(BenchError::ProbeMemory { .. })));
    }

    #[test]
    fn a_buffer_is_as_long_as_asked_for_and_lacks_what_is_looked_for() {
        for len in [0, 1, BLOCK.len(), BLOCK.len() * 2 + 7] {
            let mut buffer = Vec::new();
            fill(&mut buffer, len);
            assert_eq!((buffer.len(), memchr::memchr(ABSENT, &buffer)), (len, None));
        }
    }
}
