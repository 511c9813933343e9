//! How much memory a process had.

use std::fs;

/// The most memory that a process had at any time, in bytes; `None` where the system does not tell, or the process
/// has ended.
pub(super) fn peak_bytes(process: u32) -> Option<u64> {
    peak_in(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kibibytes() {
        assert_eq!(
            peak_in("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\nThreads:\t1\n"),
            Some(1234 << 10)
        );
        assert_eq!(peak_in("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_used_some() {
        let peak = peak_bytes(std::process::id()).unwrap();
        assert!((1 << 20..1 << 40).contains(&peak), "{peak}");
    }
}
