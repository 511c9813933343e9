//! Numbers as people read them.

use crate::bench::Statistics;

/// Decimal prefixes, as memory bandwidths and rates of operations are given.
const PREFIXES: [(&str, f64); 5] = [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)];

/// `value` with the prefix that leaves one to three digits before the point: `5.23 GB`, `2.40 TFLOP/s`.
pub(super) fn with_prefix(value: f64, unit: &str) -> String {
    let fitting = PREFIXES.iter().find(|(_, factor)| value >= *factor);
    let (prefix, factor) = fitting.copied().unwrap_or(("", 1.0));
    format!("{} {prefix}{unit}", significant(value / factor))
}

/// `value` in three digits or more.
fn significant(value: f64) -> String {
    let decimals = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// Mean and deviation: `3.81 ± 0.02`.
pub(super) fn spread(statistics: &Statistics) -> String {
    match statistics.stddev {
        Some(stddev) => format!("{:.2} ± {stddev:.2}", statistics.mean),
        None => format!("{:.2}", statistics.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_fits_the_value() {
        let bytes: Vec<_> = [0.0, 7.0, 999.0, 1e3, 106_496.0, 5.23e9, 20.1e9, 312e9, 4.8e15]
            .map(|value| with_prefix(value, "B"))
            .into();
        let expected =
            ["0.00 B", "7.00 B", "999 B", "1.00 kB", "106 kB", "5.23 GB", "20.1 GB", "312 GB", "4800 TB"];
        assert_eq!(bytes, expected);
    }
}
