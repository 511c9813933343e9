//! How large the processor's caches are.

use std::fs;

/// Bytes of the largest cache that Linux lists for the first processor; 0 where it lists none.
pub(super) fn largest() -> usize {
    let Ok(caches) = fs::read_dir("/sys/devices/system/cpu/cpu0/cache") else { return 0 };
    let sizes = caches.flatten().filter_map(|cache| fs::read_to_string(cache.path().join("size")).ok());
    sizes.filter_map(|size| parse_size(size.trim())).max().unwrap_or(0)
}

/// A size as the kernel writes it: `48K`, `105M`.
fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_kernels() {
        assert_eq!(parse_size("48K"), Some(48 << 10));
        assert_eq!(parse_size("105M"), Some(105 << 20));
        assert_eq!(parse_size("512"), Some(512));
        for text in ["", "K", "48k", "4.5M", "99999999999999999999G"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
