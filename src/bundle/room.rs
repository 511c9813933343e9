//! Disks that are full.

use super::error::Reported;

/// How the system, and the compilers that repeat it, say that a file could not grow.
const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "File too large"];

/// Whether the last words of a process are that there was no room for its files.
pub(super) fn ran_out(last_words: &str) -> bool {
    FULL.iter().any(|words| last_words.contains(words))
}

/// Whether a process failed because there was no room for its files.
pub(super) fn was_missing(reason: &Reported) -> bool {
    reason.messages().any(ran_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let failed = |error: std::io::Error| was_missing(&Reported::of(&error));
        assert!(failed(std::io::Error::from_raw_os_error(libc::ENOSPC)));
        assert!(failed(std::io::Error::from_raw_os_error(libc::EDQUOT)));
        assert!(failed(std::io::Error::from_raw_os_error(libc::EFBIG)));
        assert!(!failed(std::io::Error::from_raw_os_error(libc::EACCES)));
        assert!(ran_out("error: the job cannot be done\nbecause: No space left on device (os error 28)"));
        assert!(!ran_out(""));
    }
}
