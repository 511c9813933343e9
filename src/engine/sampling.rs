//! How the next token is chosen. The choice itself is part of the programs.

/// How tokens are chosen. The filters apply in this order: repetition penalty, temperature, top-k, top-p,
/// min-p; each works on what the one before it left, and keeps tokens that are as likely as the last that it keeps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampling {
    /// Logits are divided by this; 0 takes the most likely token, whatever the filters say.
    pub temperature: f32,
    /// Keep the `top_k` most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the most likely tokens up to this total probability; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least `min_p` times as likely as the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Positive logits of tokens already seen are divided by this and negative ones multiplied; 1 is none.
    /// Source: Keskar et al., arXiv 1909.05858, section 4.1.
    pub repetition_penalty: f32,
    /// What a draw depends on, together with the token's position: neither neighbours nor devices make a difference.
    pub seed: u64,
}

impl Sampling {
    /// The likeliest token.
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 };
}

impl Default for Sampling {
    /// [`Sampling::GREEDY`].
    fn default() -> Self {
        Self::GREEDY
    }
}

/// A sampling parameter outside its range.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{name} must be {range}, not {value}")]
pub struct SamplingError {
    name: &'static str,
    range: &'static str,
    value: f32,
}

impl Sampling {
    /// Checks every parameter's range.
    ///
    /// # Errors
    /// The first parameter that is out of range.
    pub fn check(&self) -> Result<(), SamplingError> {
        let finite = |v: f32| v.is_finite();
        let rules = [
            ("temperature", "0 or greater", self.temperature, self.temperature >= 0.0),
            ("top-p", "in (0, 1]", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0),
            ("min-p", "in [0, 1]", self.min_p, (0.0..=1.0).contains(&self.min_p)),
            ("repetition penalty", "greater than 0", self.repetition_penalty, self.repetition_penalty > 0.0),
        ];
        for (name, range, value, holds) in rules {
            if !holds || !finite(value) {
                return Err(SamplingError { name, range, value });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_parameters_are_refused() {
        for options in [
            Sampling { temperature: -1.0, ..Sampling::GREEDY },
            Sampling { temperature: f32::INFINITY, ..Sampling::GREEDY },
            Sampling { top_p: 0.0, ..Sampling::GREEDY },
            Sampling { min_p: 1.5, ..Sampling::GREEDY },
            Sampling { repetition_penalty: f32::NAN, ..Sampling::GREEDY },
        ] {
            assert!(options.check().is_err(), "{options:?}");
        }
        assert!(Sampling { temperature: 1.0, ..Sampling::GREEDY }.check().is_ok());
    }
}
