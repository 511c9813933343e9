//! Strided windows: how a document that is longer than the context is scored.

use std::ops::Range;

use lapidary_models::config::GemmaConfig;

/// Most tokens in a window where nobody says otherwise: the KV caches of a batch of longer ones may not fit.
pub const DEFAULT_CONTEXT: usize = 4096;

/// The windows that a document is cut into. Each is BOS, since Gemma has never seen a sequence without, and then
/// a slice of the document.
///
/// A window begins `stride` tokens after the one before it and scores what that one did not reach. So every
/// token is scored once, and with at least `context - stride` tokens before it (BOS among them) if the document
/// has as many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windowing {
    context: usize,
    stride: usize,
}

/// A slice of a document, to be scored after BOS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The document's tokens in it.
    pub tokens: Range<usize>,
    /// How many of them, counted from the end, are scored here; those before are their context.
    pub scored: usize,
}

/// Why documents cannot be cut into such windows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WindowingError {
    /// The model has seen no sequence this long.
    #[error("windows of {context} tokens are longer than the model's context, which is {limit}")]
    ContextTooLong {
        /// Tokens in a window.
        context: usize,
        /// The model's context.
        limit: usize,
    },
    /// No room for BOS and something to score.
    #[error("a window of {context} tokens has no room for BOS and a token to score; the least is 2")]
    ContextTooShort {
        /// Tokens in a window.
        context: usize,
    },
    /// Windows would stand still, or leave out tokens between them.
    #[error(
        "a stride of {stride} does not fit windows of {context} tokens, of which BOS is one: \
         it must be from 1 to {}", context - 1
    )]
    Stride {
        /// Tokens from one window to the next.
        stride: usize,
        /// Tokens in a window.
        context: usize,
    },
}

impl Windowing {
    /// Windows of `context` tokens, BOS included, that begin `stride` tokens apart. By default windows are as
    /// long as the model's context, but not longer than [`DEFAULT_CONTEXT`], and overlap by half.
    ///
    /// # Errors
    /// If the model has no such context, or windows would leave tokens out.
    pub fn new(
        config: &GemmaConfig,
        context: Option<usize>,
        stride: Option<usize>,
    ) -> Result<Self, WindowingError> {
        let limit = config.context;
        let context = context.unwrap_or(limit.min(DEFAULT_CONTEXT));
        if context > limit {
            return Err(WindowingError::ContextTooLong { context, limit });
        }
        if context < 2 {
            return Err(WindowingError::ContextTooShort { context });
        }
        let stride = stride.unwrap_or(context / 2);
        if !(1..context).contains(&stride) {
            return Err(WindowingError::Stride { stride, context });
        }
        Ok(Self { context, stride })
    }

    /// Most tokens in a window, BOS included.
    pub const fn context(self) -> usize {
        self.context
    }

    /// Tokens from the beginning of a window to the next.
    pub const fn stride(self) -> usize {
        self.stride
    }

    /// The windows over a document of `tokens` tokens, BOS not counted.
    pub fn over(self, tokens: usize) -> impl Iterator<Item = Window> {
        let mut reached = 0;
        (0..tokens).step_by(self.stride).map_while(move |start| {
            let end = (start + self.context - 1).min(tokens);
            let scored = end - reached;
            reached = end;
            (scored > 0).then_some(Window { tokens: start..end, scored })
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn windowing(context: usize, stride: usize) -> Windowing {
        let config = GemmaConfig { context: 1024, ..GemmaConfig::tiny() };
        Windowing::new(&config, Some(context), Some(stride)).unwrap()
    }

    #[test]
    fn windows_of_a_document() {
        let windows: Vec<Window> = windowing(6, 2).over(10).collect();
        let expected = [(0..5, 5), (2..7, 2), (4..9, 2), (6..10, 1)];
        assert_eq!(windows, expected.map(|(tokens, scored)| Window { tokens, scored }));
        let whole: Vec<Window> = windowing(6, 2).over(5).collect();
        assert_eq!(whole, [Window { tokens: 0..5, scored: 5 }]);
        assert_eq!(windowing(6, 2).over(0).count(), 0);
    }

    /// All small cases: whatever the sizes, each token is scored once, in order, with the context promised.
    #[test]
    fn every_token_is_scored_once_with_enough_before_it() {
        for context in 2..12 {
            for stride in 1..context {
                for document in 0..40 {
                    let mut next = 0;
                    for Window { tokens, scored } in windowing(context, stride).over(document) {
                        assert!(tokens.len() < context && tokens.end <= document);
                        let first = tokens.end - scored;
                        assert_eq!(first, next, "{context} {stride} {document}");
                        let bos_and_context = 1 + first - tokens.start;
                        assert!(tokens.start == 0 || bos_and_context >= context - stride);
                        next = tokens.end;
                    }
                    assert_eq!(next, document, "{context} {stride}");
                }
            }
        }
    }

    #[test]
    fn defaults_follow_the_model() {
        let sizes = |context| {
            let config = GemmaConfig { context, ..GemmaConfig::tiny() };
            let windowing = Windowing::new(&config, None, None).unwrap();
            (windowing.context(), windowing.stride())
        };
        assert_eq!(sizes(1024), (1024, 512));
        assert_eq!(sizes(8192), (4096, 2048));
        assert_eq!(sizes(3), (3, 1));
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let config = GemmaConfig { context: 64, ..GemmaConfig::tiny() };
        let refused =
            |context, stride| Windowing::new(&config, Some(context), stride).unwrap_err().to_string();
        assert!(refused(65, None).contains("context, which is 64"));
        assert!(refused(1, None).contains("the least is 2"));
        assert!(refused(0, Some(0)).contains("the least is 2"));
        assert!(refused(64, Some(0)).contains("from 1 to 63"));
        // BOS takes a place: a stride of the whole window would leave one token out.
        assert!(refused(64, Some(64)).contains("from 1 to 63"));
    }
}
