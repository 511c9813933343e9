//! Which tests to run.

use std::fmt;
use std::str::FromStr;

use lapidary_models::config::GemmaConfig;
use serde::Serialize;

/// Most rows of a batch: beyond any device, and small enough to count with.
const MAX_BATCH: usize = 1 << 16;

/// What a test does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Reads tokens that are all there from the start: prefill.
    Prompt,
    /// Makes one token after the other: decode.
    Generation,
}

/// One test.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Test {
    /// What it does.
    pub kind: Kind,
    /// Tokens that each row reads or makes.
    pub tokens: usize,
    /// Tokens that each row's cache holds before that.
    pub depth: usize,
    /// Rows.
    pub batch: usize,
}

/// The tests of a run: every length at every depth and batch size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suite {
    /// Lengths of prompts; 0 stands for no test.
    pub prompts: Vec<usize>,
    /// Numbers of generated tokens; 0 stands for no test.
    pub generations: Vec<usize>,
    /// Tokens in the cache before a test.
    pub depths: Vec<usize>,
    /// Rows that run at the same time.
    pub batches: Vec<usize>,
}

/// Tests that cannot be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SuiteError {
    /// No test is left.
    #[error("nothing to measure: all lengths of prompts and generations are 0; give --pp 512 or --tg 32")]
    Nothing,
    /// A batch of no rows.
    #[error("a batch needs at least 1 row, not 0: correct --batch")]
    NoRows,
    /// A batch beyond counting.
    #[error("a batch of {0} rows is beyond measuring: give --batch at most {MAX_BATCH}")]
    TooManyRows(usize),
    /// A row that is longer than the context.
    #[error(
        "{} takes {} positions, but the model's context has {context}: shorten --{} or --depth", .test.name(),
        .test.positions(), .test.kind.option()
    )]
    TooLong {
        /// The test.
        test: Test,
        /// Positions that the model has.
        context: usize,
    },
}

impl Kind {
    /// What a test of this kind is called, its length following: `pp` or `tg`.
    const fn option(self) -> &'static str {
        match self {
            Self::Prompt => "pp",
            Self::Generation => "tg",
        }
    }
}

impl Test {
    /// Its name as in llama.cpp's tables: `pp512`, or `tg32 @ d1024`.
    pub fn name(&self) -> String {
        let Self { kind, tokens, depth, .. } = self;
        match depth {
            0 => format!("{}{tokens}", kind.option()),
            depth => format!("{}{tokens} @ d{depth}", kind.option()),
        }
    }

    /// Positions that each row takes in the end; saturates.
    pub fn positions(&self) -> usize {
        self.depth.saturating_add(self.tokens)
    }
}

impl fmt::Display for Test {
    /// `tg32 @ d1024, batch 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, batch {}", self.name(), self.batch)
    }
}

impl FromStr for Test {
    type Err = String;

    /// Reads `pp512`, or `tg32@1024x8`: 32 tokens at a depth of 1024 in 8 rows.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (test, batch) = text.split_once('x').unwrap_or((text, "1"));
            let (test, depth) = test.split_once('@').unwrap_or((test, "0"));
            let kinds = [Kind::Prompt, Kind::Generation].into_iter();
            let (kind, tokens) =
                kinds.filter_map(|kind| Some((kind, test.strip_prefix(kind.option())?))).next()?;
            let number = |text: &str| text.parse::<usize>().ok();
            let tokens = number(tokens).filter(|&tokens| tokens > 0)?;
            Some(Self { kind, tokens, depth: number(depth)?, batch: number(batch)? })
        };
        read().ok_or_else(|| "give a test such as pp512, tg32@1024 or tg32@1024x8".to_string())
    }
}

impl Test {
    /// Checks that a model of `config` can take it.
    ///
    /// # Errors
    /// If it cannot.
    pub fn check(&self, config: &GemmaConfig) -> Result<(), SuiteError> {
        match self.batch {
            0 => Err(SuiteError::NoRows),
            1..=MAX_BATCH if self.positions() > config.context => {
                Err(SuiteError::TooLong { test: *self, context: config.context })
            }
            1..=MAX_BATCH => Ok(()),
            _ => Err(SuiteError::TooManyRows(self.batch)),
        }
    }
}

impl Suite {
    /// The tests, by batch and depth, prompts first.
    ///
    /// # Errors
    /// If there are none, or the model of `config` cannot take one of them.
    pub fn tests(&self, config: &GemmaConfig) -> Result<Vec<Test>, SuiteError> {
        let prompts = self.prompts.iter().map(|&tokens| (Kind::Prompt, tokens));
        let generations = self.generations.iter().map(|&tokens| (Kind::Generation, tokens));
        let lengths: Vec<_> = prompts.chain(generations).filter(|(_, tokens)| *tokens > 0).collect();
        let mut tests = Vec::new();
        for &batch in &self.batches {
            for &depth in &self.depths {
                for &(kind, tokens) in &lengths {
                    let test = Test { kind, tokens, depth, batch };
                    test.check(config)?;
                    tests.push(test);
                }
            }
        }
        if tests.is_empty() { Err(SuiteError::Nothing) } else { Ok(tests) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read_from_their_names() {
        let test = |kind, tokens, depth, batch| Ok(Test { kind, tokens, depth, batch });
        assert_eq!("pp512".parse(), test(Kind::Prompt, 512, 0, 1));
        assert_eq!("pp4096x32".parse(), test(Kind::Prompt, 4096, 0, 32));
        assert_eq!("tg32@1024x8".parse(), test(Kind::Generation, 32, 1024, 8));
        for text in ["", "pp", "pp0", "xx5", "tg-1", "tg5@", "tg5x", "512", "pp5x2@3"] {
            assert!(text.parse::<Test>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_test_is_held_against_the_model() {
        let config = GemmaConfig::tiny();
        let check = |text: &str| text.parse::<Test>().unwrap().check(&config);
        assert_eq!(check("pp5x2"), Ok(()));
        assert_eq!(check("pp5x0"), Err(SuiteError::NoRows));
        assert!(matches!(check("pp5x99999999"), Err(SuiteError::TooManyRows(_))));
        assert!(matches!(check("tg5@99999999"), Err(SuiteError::TooLong { .. })));
    }
}
