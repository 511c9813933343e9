//! Right answers, and how sure their share is.

/// The normal distribution's quantile at 97.5%: 95% lie within so many standard deviations.
const Z_95: f64 = 1.959_963_984_540_054;

/// An answer as it is compared: words with one space between, in lower case.
pub fn normalized(answer: &str) -> String {
    answer.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether an answer is one of those accepted, but for spacing and case.
pub fn is_correct(answer: &str, accepted: &[String]) -> bool {
    let answer = normalized(answer);
    accepted.iter().any(|accepted| normalized(accepted) == answer)
}

/// Questions asked and answered correctly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Questions.
    pub questions: usize,
    /// Of these, answered correctly.
    pub correct: usize,
}

impl Tally {
    /// Counts one more question.
    pub fn count(&mut self, correct: bool) {
        self.questions += 1;
        self.correct += usize::from(correct);
    }

    /// The share of correct answers; `None` without questions.
    pub fn accuracy(&self) -> Option<f64> {
        (self.questions > 0).then(|| self.correct as f64 / self.questions as f64)
    }

    /// Wilson's score interval at 95% for the share of correct answers, which unlike the normal approximation
    /// holds near 0 and 1 too; `None` without questions. (E. B. Wilson, 1927, J. Am. Stat. Assoc. 22:209-212.)
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (n, share) = (self.questions as f64, self.accuracy()?);
        let z2 = Z_95 * Z_95;
        let centre = share + z2 / (2.0 * n);
        let half = Z_95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z2 / n;
        // Rounding must not put an end on the wrong side of what was observed.
        Some((((centre - half) / scale).clamp(0.0, share), ((centre + half) / scale).clamp(share, 1.0)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn spacing_and_case_do_not_matter_but_words_do() {
        let accepted = ["The red ball is in the barn.".to_owned(), "In the barn.".to_owned()];
        for right in [" the RED  ball\nis in the barn. ", "in\tthe barn."] {
            assert!(is_correct(right, &accepted), "{right}");
        }
        for wrong in ["", "The red ball is in the barn", "The ball is in the barn.", "inthe barn."] {
            assert!(!is_correct(wrong, &accepted), "{wrong}");
        }
        assert_eq!(normalized("  Ä\u{a0}b  "), "ä b");
    }

    /// The ends are the shares whose distance to the observed one is Z_95 standard deviations of their own.
    #[test]
    fn wilson_intervals() {
        for (correct, questions) in [(0, 10), (10, 10), (1, 1), (50, 100), (397, 400), (1, 1000)] {
            let tally = Tally { questions, correct };
            let (low, high) = tally.interval().unwrap();
            let observed = tally.accuracy().unwrap();
            assert!(
                0.0 <= low && low <= observed && observed <= high && high <= 1.0,
                "{correct}/{questions}"
            );
            for end in [low, high] {
                let deviations = Z_95 * (end * (1.0 - end) / questions as f64).sqrt();
                let distance = (observed - end).abs();
                assert!((distance - deviations).abs() < 1e-7, "{correct}/{questions}: {end}");
            }
        }
        assert!((Tally { questions: 10, correct: 0 }.interval().unwrap().1 - 0.277_532_8).abs() < 1e-7);
        assert_eq!(Tally::default().interval(), None);
        assert_eq!(Tally::default().accuracy(), None);
    }

    #[test]
    fn tallies_count() {
        let mut tally = Tally::default();
        for correct in [true, false, true, true] {
            tally.count(correct);
        }
        assert_eq!(tally, Tally { questions: 4, correct: 3 });
        assert_eq!(tally.accuracy(), Some(0.75));
    }
}
