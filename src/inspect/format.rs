//! Figures for people.

use indicatif::BinaryBytes;

/// `12.68 GiB`.
pub fn bytes(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// `7.16 ms`; `-` for no time.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "-".to_string(),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.1} us", seconds * 1e6),
    }
}

/// `14.24 Gflop`.
pub fn flops(flops: u64) -> String {
    let prefixes = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let flops = flops as f64;
    match prefixes.into_iter().find(|(unit, _)| flops >= *unit) {
        Some((unit, prefix)) => format!("{:.2} {prefix}flop", flops / unit),
        None => format!("{flops} flop"),
    }
}

/// `1.016 x`; of what has no ideal `-`.
pub fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_string(), |ratio| format!("{ratio:.3} x"))
}

/// How much more or less than ideal: `+3.1 MiB`, `-512 B`; `0 B` for neither, `-` where there is no ideal.
pub fn excess(bytes: u64, ideal: Option<u64>) -> String {
    match ideal {
        None => "-".to_string(),
        Some(ideal) if ideal == bytes => "0 B".to_string(),
        Some(ideal) => {
            let sign = if bytes > ideal { '+' } else { '-' };
            format!("{sign}{}", BinaryBytes(bytes.abs_diff(ideal)))
        }
    }
}

/// `1 loop counts`, `3 loops count`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
