//! Which tests to run.

use std::fmt;

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
            match batch {
                0 => return Err(SuiteError::NoRows),
                1..=MAX_BATCH => {}
                _ => return Err(SuiteError::TooManyRows(batch)),
            }
            for &depth in &self.depths {
                for &(kind, tokens) in &lengths {
                    let (test, context) = (Test { kind, tokens, depth, batch }, config.context);
                    if test.positions() > context {
                        return Err(SuiteError::TooLong { test, context });
                    }
                    tests.push(test);
                }
            }
        }
        if tests.is_empty() { Err(SuiteError::Nothing) } else { Ok(tests) }
    }
}
