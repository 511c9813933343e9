//! Which sequences a model can take.

use lapidary_models::config::GemmaConfig;

use super::EngineError;

/// Checks that there are sequences, that none is empty or longer than the model's context, and that the
/// vocabulary has their tokens. This needs no device, so that bad input can be refused before one is started.
///
/// # Errors
/// The first thing that is wrong, and with which sequence.
pub fn check_sequences<S: AsRef<[u32]>>(config: &GemmaConfig, sequences: &[S]) -> Result<(), EngineError> {
    if sequences.is_empty() {
        return Err(EngineError::NoSequences);
    }
    for (row, sequence) in sequences.iter().map(AsRef::as_ref).enumerate() {
        if sequence.is_empty() {
            return Err(EngineError::Empty { row });
        }
        check_tokens(config, row, sequence)?;
        let (tokens, limit) = (sequence.len(), config.context);
        if tokens > limit {
            return Err(EngineError::TooLong { row, tokens, limit });
        }
    }
    Ok(())
}

/// Number of tokens in the longest sequence; 0 if there is none.
pub(super) fn longest<S: AsRef<[u32]>>(sequences: &[S]) -> usize {
    sequences.iter().map(|sequence| sequence.as_ref().len()).max().unwrap_or(0)
}

/// Checks that the vocabulary has every token of `sequence`.
pub(super) fn check_tokens(config: &GemmaConfig, row: usize, sequence: &[u32]) -> Result<(), EngineError> {
    let vocab = config.live_vocab_size();
    match sequence.iter().enumerate().find(|(_, id)| **id as usize >= vocab) {
        Some((position, &id)) => Err(EngineError::TokenId { row, position, id, vocab }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_sequence_is_named() {
        let config = GemmaConfig::tiny();
        let check = |sequences: &[Vec<u32>]| check_sequences(&config, sequences);
        let vocab = config.live_vocab_size();
        let last = u32::try_from(vocab - 1).unwrap();
        assert!(check(&[vec![last; config.context]]).is_ok());
        assert!(matches!(check(&[]), Err(EngineError::NoSequences)));
        assert!(matches!(check(&[vec![1], vec![]]), Err(EngineError::Empty { row: 1 })));
        let long = check(&[vec![1; config.context + 1]]);
        assert!(
            matches!(long, Err(EngineError::TooLong { row: 0, tokens, .. }) if tokens == config.context + 1)
        );
        let unknown = check(&[vec![1], vec![1, last + 1]]).unwrap_err();
        assert!(matches!(unknown, EngineError::TokenId { row: 1, position: 1, .. }));
        assert!(unknown.to_string().contains(&format!("0 to {last}")), "{unknown}");
    }
}
