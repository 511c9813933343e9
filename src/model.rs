//! A model as a user has it: checkpoint, tokenizer and chat template, from a directory or built in.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread;

use lapidary_models::builtin;
use lapidary_models::chat::{ChatError, ChatTemplate, Message};
use lapidary_models::checkpoint::{Checkpoint, CheckpointError, LocateError, locate};
use lapidary_models::tokenizer::{Tokenizer, TokenizerError};

/// A checkpoint with what turns text into its tokens.
#[derive(Debug)]
pub struct Model {
    checkpoint: Checkpoint,
    tokenizer: Arc<LazyTokenizer>,
    is_builtin: bool,
}

/// A tokenizer, read when it is first asked for. A model without a usable one still runs on token ids; who needs text
/// gets the reason.
type LazyTokenizer = LazyLock<Result<Tokenizer, TokenizerError>, ReadTokenizer>;
type ReadTokenizer = Box<dyn FnOnce() -> Result<Tokenizer, TokenizerError> + Send>;

/// Why a model cannot be opened or talked to.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No such model.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// Config or weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Chat template or messages.
    #[error(transparent)]
    Chat(#[from] ChatError),
}

impl Model {
    /// Opens a model directory, a model that the Hugging Face cache on this machine holds, such as
    /// `google/gemma-2-2b-it`, or the [built-in](Self::builtin) one by its name, unless a directory is called that.
    ///
    /// # Errors
    /// If there is no such model, or its config or weights are malformed.
    pub fn open(name: &str) -> Result<Self, ModelError> {
        if name == builtin::NAME && !Path::new(name).is_dir() {
            return Self::builtin();
        }
        let checkpoint = Checkpoint::open(&locate(name)?)?;
        let (path, config) = (checkpoint.path().to_owned(), checkpoint.config().clone());
        let tokenizer = lazily(move || Tokenizer::open(&path, &config));
        Ok(Self { checkpoint, tokenizer, is_builtin: false })
    }

    /// The model that is part of the program: [pebble](builtin).
    ///
    /// # Errors
    /// None in practice.
    pub fn builtin() -> Result<Self, ModelError> {
        let checkpoint = builtin::checkpoint()?;
        let config = checkpoint.config().clone();
        let tokenizer = lazily(move || builtin::tokenizer(&config));
        Ok(Self { checkpoint, tokenizer, is_builtin: true })
    }

    /// Config and weights.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The directory, or the built-in model's name.
    pub fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    /// Whether this is the model that is part of the program.
    pub fn is_builtin(&self) -> bool {
        self.is_builtin
    }

    /// Begins to read the tokenizer in a thread of its own, as it takes a while where a vocabulary is large. Who asks for it
    /// waits for that thread.
    pub fn begin_reading_tokenizer(&self) {
        let tokenizer = Arc::clone(&self.tokenizer);
        let read = move || {
            LazyLock::force(&tokenizer);
        };
        // Where there can be no thread, who asks for it reads it.
        let _ = thread::Builder::new().name("tokenizer".to_owned()).spawn(read);
    }

    /// The tokenizer, if the model has a usable one.
    pub fn tokenizer_if_any(&self) -> Option<&Tokenizer> {
        self.tokenizer().ok()
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn tokenizer(&self) -> Result<&Tokenizer, &TokenizerError> {
        LazyLock::force(&self.tokenizer).as_ref()
    }

    /// The chat template.
    ///
    /// # Errors
    /// If the model has one that cannot be used.
    pub fn chat_template(&self) -> Result<ChatTemplate, ChatError> {
        if self.is_builtin { builtin::chat_template() } else { ChatTemplate::open(self.path()) }
    }

    /// Token ids of a conversation, up to where the model's answer begins; BOS exactly once.
    ///
    /// # Errors
    /// If the messages are out of order, or the template or tokenizer fails on them.
    pub fn encode_chat(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        let text = self.chat_template()?.render(messages, tokenizer.bos_text(), true)?;
        Ok(tokenizer.encode(&text)?)
    }
}

fn lazily(read: impl FnOnce() -> Result<Tokenizer, TokenizerError> + Send + 'static) -> Arc<LazyTokenizer> {
    Arc::new(LazyLock::new(Box::new(read)))
}
