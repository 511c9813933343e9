//! The model that is part of the program: pebble, a small Gemma 2 trained on stories that are made up.
//!
//! Its files, in `models/pebble`, are those of any model directory, and are read by the same code. Its model card
//! says how it was trained and how good it is.

use std::path::{Path, PathBuf};

use crate::chat::{ChatError, ChatTemplate};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::config::{ConfigError, GemmaConfig, GenerationConfig};
use crate::files;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// What it is called.
pub const NAME: &str = "pebble";

/// Documents that it was not trained on, in lines of JSON: `{"text"}`.
pub const HELDOUT: &str = include_str!("../pebble/heldout.jsonl");

/// Questions whose answers it was not told in training, in lines of JSON: `{"task", "messages", "answer"}`.
pub const TASKS: &str = include_str!("../pebble/tasks.jsonl");

const CONFIG: &[u8] = include_bytes!("../pebble/config.json");
const GENERATION_CONFIG: &[u8] = include_bytes!("../pebble/generation_config.json");
const TOKENIZER: &[u8] = include_bytes!("../pebble/tokenizer.json");
const TOKENIZER_CONFIG: &str = include_str!("../pebble/tokenizer_config.json");
static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../pebble/model.safetensors"));

/// Bytes at a boundary from which devices use tensors in place. (Within the file, they lie at multiples of it.)
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

/// Config and weights. The weights are used where they lie in the program.
///
/// # Errors
/// None in practice: a test opens it.
pub fn checkpoint() -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_bytes(config()?, NAME, &WEIGHTS.0)
}

/// The tokenizer.
///
/// # Errors
/// None in practice.
pub fn tokenizer(config: &GemmaConfig) -> Result<Tokenizer, TokenizerError> {
    Tokenizer::from_json(&path(files::TOKENIZER), TOKENIZER, config)
}

/// The chat template.
///
/// # Errors
/// None in practice.
pub fn chat_template() -> Result<ChatTemplate, ChatError> {
    ChatTemplate::from_tokenizer_config(&path(files::TOKENIZER_CONFIG), TOKENIZER_CONFIG)
}

/// The content of a file of its directory, weights excepted; `None` where it has none of this name.
pub(crate) fn file(name: &str) -> Option<&'static [u8]> {
    match name {
        files::CONFIG => Some(CONFIG),
        files::GENERATION_CONFIG => Some(GENERATION_CONFIG),
        files::TOKENIZER => Some(TOKENIZER),
        files::TOKENIZER_CONFIG => Some(TOKENIZER_CONFIG.as_bytes()),
        _ => None,
    }
}

fn config() -> Result<GemmaConfig, ConfigError> {
    GemmaConfig::from_json(CONFIG)?.with_generation(&GenerationConfig::from_json(GENERATION_CONFIG)?)
}

/// What messages call a file.
fn path(file: &str) -> PathBuf {
    Path::new(NAME).join(file)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::chat::{Message, Role, messages_in};
    use crate::config::Architecture;

    /// The directory that the files were taken from.
    fn directory() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(NAME)
    }

    #[test]
    fn it_is_the_model_of_its_directory() {
        let (builtin, opened) = (checkpoint().unwrap(), Checkpoint::open(&directory()).unwrap());
        assert_eq!(builtin.config(), opened.config());
        assert_eq!(builtin.summary(), opened.summary());
        for (builtin, opened) in builtin.tensors().iter().zip(opened.tensors()) {
            assert_eq!((builtin.name(), builtin.bytes()), (opened.name(), opened.bytes()));
            assert!(builtin.alignment() >= 64, "{} cannot be used in place", builtin.name());
        }
        let text = "Once there was a fox. Где?\n";
        let ids = tokenizer(builtin.config()).unwrap().encode(text).unwrap();
        assert_eq!(ids, Tokenizer::open(&directory(), opened.config()).unwrap().encode(text).unwrap());
        let messages = [Message::new(Role::User, "Hello!")];
        let rendered = chat_template().unwrap().render(&messages, "<bos>", true).unwrap();
        assert_eq!(
            rendered,
            ChatTemplate::open(&directory()).unwrap().render(&messages, "<bos>", true).unwrap()
        );
    }

    /// It stands for the real ones, so it has all that they have.
    #[test]
    fn it_has_what_makes_a_gemma_2() {
        let config = config().unwrap();
        assert_eq!(config.architecture, Architecture::Gemma2);
        assert!(config.sliding_window.is_some_and(|window| 4 * window <= config.context));
        assert!(1 < config.num_kv_heads && config.num_kv_heads < config.num_heads);
        assert!(config.attn_logit_softcap.is_some() && config.final_logit_softcap.is_some());
        assert_eq!(
            (config.pad_token_id, config.bos_token_id, &config.eos_token_ids[..]),
            (0, 2, &[1, 107][..])
        );

        let tokenizer = tokenizer(&config).unwrap();
        assert_eq!(tokenizer.vocab_size(), config.vocab_size);
        for (piece, id) in [("<unk>", 3), ("<start_of_turn>", 106), ("<end_of_turn>", 107)] {
            assert_eq!(tokenizer.id_of(piece), Some(id));
        }
        for text in ["Once there was a fox.", "  two  spaces\n\tand a tab", "Где? 😀"] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!((ids[0], tokenizer.decode(&ids).unwrap().as_str()), (2, text));
        }
    }

    #[test]
    fn its_texts_and_questions_fit() {
        let config = config().unwrap();
        let (tokenizer, template) = (tokenizer(&config).unwrap(), chat_template().unwrap());
        let lines = |text: &str| -> Vec<Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let (texts, questions) = (lines(HELDOUT), lines(TASKS));
        assert!(texts.len() >= 100 && questions.len() >= 100, "{} {}", texts.len(), questions.len());
        assert!(texts.iter().all(|line| !line["text"].as_str().unwrap().is_empty()));
        for question in questions {
            let messages = messages_in(&question).unwrap();
            let prompt = template.render(&messages, tokenizer.bos_text(), true).unwrap();
            let answer = question["answer"].as_str().unwrap();
            let room = config.context - tokenizer.encode(&prompt).unwrap().len();
            assert!(tokenizer.encode(answer).unwrap().len() < room, "{question}");
        }
    }
}
