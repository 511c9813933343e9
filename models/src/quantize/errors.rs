//! How far codes are from the weights that they stand for.

/// Sums over the weights of a tensor, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Errors {
    /// Weights.
    pub count: u64,
    /// Sum of their squares.
    pub squared: f64,
    /// Sum of the squared errors.
    pub squared_error: f64,
    /// The largest error.
    pub max_error: f64,
}

impl Errors {
    /// The error's root mean square over the weights'; 0 for nothing but zeros.
    pub fn rms(&self) -> f64 {
        if self.squared > 0.0 { (self.squared_error / self.squared).sqrt() } else { 0.0 }
    }

    /// The largest error over the weights' root mean square; 0 for nothing but zeros.
    pub fn max(&self) -> f64 {
        let rms = (self.squared / self.count.max(1) as f64).sqrt();
        if rms > 0.0 { self.max_error / rms } else { 0.0 }
    }

    /// Signal to noise in decibels; `None` where there is no noise.
    pub fn snr_db(&self) -> Option<f64> {
        (self.squared_error > 0.0).then(|| 10.0 * (self.squared / self.squared_error).log10())
    }

    /// Those of both.
    pub fn with(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            squared: self.squared + other.squared,
            squared_error: self.squared_error + other.squared_error,
            max_error: self.max_error.max(other.max_error),
        }
    }

    pub(super) fn add_weight(&mut self, weight: f32, decoded: f32) {
        let (weight, error) = (f64::from(weight), f64::from(weight) - f64::from(decoded));
        self.count += 1;
        self.squared += weight * weight;
        self.squared_error += error * error;
        self.max_error = self.max_error.max(error.abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_few_weights() {
        let mut errors = Errors::default();
        assert_eq!((errors.rms(), errors.max(), errors.snr_db()), (0.0, 0.0, None));
        for (weight, decoded) in [(3.0, 3.0), (-4.0, -3.5)] {
            errors.add_weight(weight, decoded);
        }
        assert_eq!(errors.rms(), 0.1);
        assert!((errors.max() - 0.5 / 12.5_f64.sqrt()).abs() < 1e-12);
        assert!((errors.snr_db().unwrap() - 20.0).abs() < 1e-9);
        let sum = errors.with(errors);
        assert_eq!((sum.count, sum.rms(), sum.max()), (4, errors.rms(), errors.max()));
    }
}
