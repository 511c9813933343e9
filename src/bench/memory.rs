//! This process's memory, and the machine's, as Linux tells them.

use std::fs;
use std::io;

/// The most memory that this process had resident at any time since [`reset_peak_memory`], in bytes; pages of mapped
/// files count. `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// Makes [`peak_memory`] start anew from what is resident now, once what was freed is given back: what measured the device
/// before would count as the model's.
///
/// # Errors
/// If the system refuses; the peak is then still that of the whole process.
pub fn reset_peak_memory() -> io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: glibc's allocator gives back pages that nobody has, and takes its own locks.
    unsafe {
        libc::malloc_trim(0)
    };
    // proc(5): 5 resets the peak resident set size to the current one.
    fs::write("/proc/self/clear_refs", "5")
}

/// Bytes of memory that programs can still have; `None` where the system does not tell.
pub fn available_memory() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")
}

/// A field of a file such as `/proc/meminfo`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let status = "Name:\tbench\nVmHWMark:\t  1 kB\nVmHWM:\t   2048 kB\nThreads:\t1\n";
        assert_eq!(kibibytes(status, "VmHWM"), Some(2 << 20));
        assert_eq!(kibibytes(status, "Threads"), None);
        assert_eq!(kibibytes(status, "VmRSS"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_peak_is_forgotten() {
        const BLOCK: u64 = 256 << 20;
        drop(std::hint::black_box(vec![1u8; BLOCK as usize]));
        let before = peak_memory().unwrap();
        assert!(before >= BLOCK);
        reset_peak_memory().unwrap();
        assert!(peak_memory().unwrap() < before - BLOCK / 2);
        assert!(available_memory().unwrap() > 0);
    }
}
