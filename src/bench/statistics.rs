//! Repeated measurements in two numbers.

use serde::Serialize;

/// Mean and spread of repeated measurements.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Statistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of a sample (divisor `n - 1`); `None` of a single measurement, which has none.
    pub stddev: Option<f64>,
}

impl Statistics {
    /// The statistics of `samples`; `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        match samples.len() {
            0 => None,
            1 => Some(Self { mean, stddev: None }),
            _ => Some(Self { mean, stddev: Some((squares / (n - 1.0)).sqrt()) }),
        }
    }
}
