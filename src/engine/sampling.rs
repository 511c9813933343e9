//! Choosing the next token from logits, on the host.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How tokens are chosen. The filters apply in this order: repetition penalty, temperature, top-k, top-p,
/// min-p; each works on what the one before it left.
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
    /// Every row draws from the stream of this seed, so a row does not depend on its neighbours.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
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

/// A logit that makes no distribution: NaN or positive infinity. (Negative infinity excludes a token.)
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NonFiniteLogit {
    /// Index in the vocabulary.
    pub token: usize,
    /// The logit.
    pub value: f32,
}

/// One row's stream of choices.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: u32,
    /// Logit minus the greatest one. It decides the order: rounded weights tie where temperature is high.
    distance: f32,
    /// Unnormalised probability.
    weight: f32,
}

/// Candidates sorted at first when only the likeliest part of the vocabulary is wanted: a top-p set is
/// rarely larger, and sorting 256,000 candidates costs more than the rest of sampling together.
const LIKELY: usize = 1024;

impl Sampler {
    /// A sampler at the start of its seed's stream.
    pub fn new(options: Sampling) -> Self {
        Self { options, random: ChaCha8Rng::seed_from_u64(options.seed), candidates: Vec::new() }
    }

    /// The next token after `history` (prompt and answer so far), given its `logits` `[vocab]`.
    ///
    /// # Errors
    /// If a logit is NaN or positive infinity.
    pub fn sample(&mut self, logits: &mut [f32], history: &[u32]) -> Result<u32, NonFiniteLogit> {
        let broken = |logit: &f32| logit.is_nan() || *logit == f32::INFINITY;
        if let Some((token, &value)) = logits.iter().enumerate().find(|(_, logit)| broken(logit)) {
            return Err(NonFiniteLogit { token, value });
        }
        self.penalise_repetition(logits, history);
        if self.options.temperature == 0.0 {
            return Ok(argmax(logits));
        }
        self.collect(logits);
        self.keep_likely();
        Ok(self.draw())
    }

    fn penalise_repetition(&self, logits: &mut [f32], history: &[u32]) {
        let penalty = self.options.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let mut seen = history.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for token in seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    fn collect(&mut self, logits: &[f32]) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let inverse = self.options.temperature.recip();
        self.candidates.clear();
        self.candidates.extend(logits.iter().zip(0u32..).map(|(&logit, token)| {
            // Infinite logits or a tiny temperature would make NaN of what is certain.
            let (distance, weight) =
                if logit == max { (0.0, 1.0) } else { (logit - max, ((logit - max) * inverse).exp()) };
            Candidate { token, distance, weight }
        }));
    }

    /// Applies top-k, top-p and min-p, leaving the candidates most likely first.
    fn keep_likely(&mut self) {
        let Sampling { top_k, top_p, min_p, .. } = self.options;
        let wanted = if top_k == 0 || top_k >= self.candidates.len() { usize::MAX } else { top_k };
        if wanted == usize::MAX && top_p >= 1.0 && min_p <= 0.0 {
            return;
        }
        let total: f32 = self.candidates.iter().map(|c| c.weight).sum();
        let first = wanted.min(LIKELY).min(self.candidates.len());
        self.sort_first(first);
        let head: f32 = self.candidates.iter().take(first).map(|c| c.weight).sum();
        if wanted > first && first < self.candidates.len() && (top_p >= 1.0 || head < top_p * total) {
            self.sort_first(wanted.min(self.candidates.len()));
        } else {
            self.candidates.truncate(first);
        }
        self.candidates.truncate(wanted);

        if top_p < 1.0 {
            // After top-k, top-p is a share of what top-k left.
            let base: f32 =
                if wanted == usize::MAX { total } else { self.candidates.iter().map(|c| c.weight).sum() };
            let mut sum = 0.0;
            let kept = self.candidates.iter().take_while(|c| {
                let before = sum;
                sum += c.weight;
                before < top_p * base
            });
            let kept = kept.count().max(1);
            self.candidates.truncate(kept);
        }
        if min_p > 0.0 {
            let best = self.candidates.first().map_or(0.0, |c| c.weight);
            let kept = self.candidates.iter().take_while(|c| c.weight >= min_p * best).count().max(1);
            self.candidates.truncate(kept);
        }
    }

    /// Puts the `count` likeliest candidates first, in order; equal ones by token.
    fn sort_first(&mut self, count: usize) {
        let order = |a: &Candidate, b: &Candidate| {
            b.distance.total_cmp(&a.distance).then_with(|| a.token.cmp(&b.token))
        };
        if count < self.candidates.len() && count > 0 {
            self.candidates.select_nth_unstable_by(count - 1, order);
        }
        if let Some(head) = self.candidates.get_mut(..count) {
            head.sort_unstable_by(order);
        }
    }

    fn draw(&mut self) -> u32 {
        let total: f64 = self.candidates.iter().map(|c| f64::from(c.weight)).sum();
        // 53 random bits: a float in [0, 1).
        let unit = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut rest = unit * total;
        for candidate in &self.candidates {
            rest -= f64::from(candidate.weight);
            if rest < 0.0 {
                return candidate.token;
            }
        }
        // Rounding can leave a remainder past the last candidate of any weight.
        self.candidates.iter().rev().find(|c| c.weight > 0.0).map_or(0, |c| c.token)
    }
}

/// Index of the greatest logit, the first of equal ones.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (&logit, token) in logits.iter().zip(0u32..) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling() -> Sampling {
        Sampling { temperature: 1.0, seed: 7, ..Sampling::default() }
    }

    fn frequencies(options: Sampling, logits: &[f32], draws: usize) -> Vec<f64> {
        let mut sampler = Sampler::new(options);
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..draws {
            let token = sampler.sample(&mut logits.to_vec(), &[]).unwrap();
            counts[token as usize] += 1.0 / draws as f64;
        }
        counts
    }

    #[test]
    fn draws_follow_the_distribution() {
        let probabilities = [0.5f32, 0.25, 0.15, 0.1];
        let logits: Vec<f32> = probabilities.iter().map(|p| p.ln() + 3.0).collect();
        let seen = frequencies(sampling(), &logits, 40_000);
        for (p, seen) in probabilities.iter().zip(seen) {
            assert!((f64::from(*p) - seen).abs() < 0.01, "{p} {seen}");
        }
    }

    #[test]
    fn filters_keep_the_likely_tokens() {
        let logits: Vec<f32> = [0.1f32, 0.5, 0.25, 0.15].iter().map(|p| p.ln()).collect();
        let support = |options: Sampling| {
            let seen = frequencies(options, &logits, 4000);
            seen.iter().map(|&f| f > 0.0).collect::<Vec<bool>>()
        };
        assert_eq!(support(Sampling { top_k: 2, ..sampling() }), [false, true, true, false]);
        assert_eq!(support(Sampling { top_p: 0.76, ..sampling() }), [false, true, true, true]);
        assert_eq!(support(Sampling { top_p: 0.74, ..sampling() }), [false, true, true, false]);
        assert_eq!(support(Sampling { min_p: 0.4, ..sampling() }), [false, true, true, false]);
        // 0.5 / 0.75 of what top-k leaves exceeds 0.6, so one token is enough.
        assert_eq!(support(Sampling { top_k: 2, top_p: 0.6, ..sampling() }), [false, true, false, false]);
    }

    #[test]
    fn one_candidate_is_the_greedy_one_however_high_the_temperature() {
        let options = Sampling { temperature: 1e30, top_k: 1, ..sampling() };
        assert_eq!(Sampler::new(options).sample(&mut [1.0, 2.0, 3.0, -1.0], &[]), Ok(2));
        assert_eq!(Sampler::new(options).sample(&mut [-0.0, 0.0, -1.0], &[]), Ok(0));
    }

    #[test]
    fn top_k_of_the_whole_vocabulary_changes_nothing() {
        let logits = [0.3f32, 0.2, 0.9, 0.1, 0.5];
        let draw = |options: Sampling| {
            let mut sampler = Sampler::new(options);
            (0..64).map(|_| sampler.sample(&mut logits.to_vec(), &[]).unwrap()).collect::<Vec<_>>()
        };
        for top_k in [logits.len(), usize::MAX] {
            assert_eq!(draw(Sampling { top_k, ..sampling() }), draw(sampling()));
            let top_p = 0.7;
            assert_eq!(draw(Sampling { top_k, top_p, ..sampling() }), draw(Sampling { top_p, ..sampling() }));
        }
    }

    #[test]
    fn a_large_vocabulary_is_filtered_like_a_small_one() {
        // A flat distribution whose top-p set exceeds the part that is sorted first.
        let logits = vec![0.0; 5000];
        let mut sampler = Sampler::new(Sampling { top_p: 0.5, ..sampling() });
        let tokens: Vec<u32> = (0..2000).map(|_| sampler.sample(&mut logits.clone(), &[]).unwrap()).collect();
        assert!(tokens.iter().all(|&t| t <= 2500));
        assert!(tokens.iter().any(|&t| t > 2000));
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_the_penalty_moves_it() {
        let mut greedy = Sampler::new(Sampling::default());
        assert_eq!(greedy.sample(&mut [1.0, 3.0, 3.0, -1.0], &[]).unwrap(), 1);
        let mut penalised = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::default() });
        assert_eq!(penalised.sample(&mut [1.0, 3.0, 3.0, -1.0], &[1, 1]).unwrap(), 2);
        assert_eq!(penalised.sample(&mut [-1.5, -1.0], &[1]).unwrap(), 0);
    }

    #[test]
    fn same_seed_same_tokens_and_broken_logits_are_reported() {
        let logits = [0.3f32, 0.2, 0.9, 0.1, 0.5];
        let draw = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..sampling() });
            (0..64).map(|_| sampler.sample(&mut logits.to_vec(), &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for broken in [f32::NAN, f32::INFINITY] {
            let error = Sampler::new(sampling()).sample(&mut [0.0, broken], &[]).unwrap_err();
            assert_eq!((error.token, error.value.to_bits()), (1, broken.to_bits()));
        }
        assert_eq!(Sampler::new(sampling()).sample(&mut [f32::NEG_INFINITY, 0.0], &[]), Ok(1));
    }

    #[test]
    fn absurd_parameters_are_refused() {
        for options in [
            Sampling { temperature: -1.0, ..sampling() },
            Sampling { temperature: f32::INFINITY, ..sampling() },
            Sampling { top_p: 0.0, ..sampling() },
            Sampling { min_p: 1.5, ..sampling() },
            Sampling { repetition_penalty: f32::NAN, ..sampling() },
        ] {
            assert!(options.check().is_err(), "{options:?}");
        }
        assert!(sampling().check().is_ok());
    }
}
