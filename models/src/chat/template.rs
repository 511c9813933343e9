//! A model's chat template, rendered as transformers renders it.

use std::path::{Path, PathBuf};

use minijinja::{Environment, ErrorKind, context};
use serde_json::Value;

use super::date::strftime_now;
use super::error::ChatError;
use super::messages::{Message, Role, turns};
use crate::files;
use crate::gguf::{self, Gguf};
use crate::json::excerpt;

/// Gemma's own format, for models that come without a template: each turn between `<start_of_turn>` and
/// `<end_of_turn>`, its content trimmed, and the assistant called `model`.
pub const GEMMA_TEMPLATE: &str = "{{ bos_token }}\
{% for message in messages %}\
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}\
{{ message['content'] | trim }}\
{{ '<end_of_turn>\n' }}\
{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

/// Instructions a template may execute; a template is a program and may loop for ever.
const FUEL: u64 = 10_000_000;
const TEMPLATE_NAME: &str = "chat_template";

/// A chat template, ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    path: PathBuf,
}

impl ChatTemplate {
    /// The template of a model directory: `chat_template.jinja`, else `chat_template` in
    /// `tokenizer_config.json`, else [`GEMMA_TEMPLATE`]. Of a GGUF file: its own, else [`GEMMA_TEMPLATE`].
    ///
    /// # Errors
    /// [`ChatError`] when a file is there but cannot be used.
    pub fn open(model: &Path) -> Result<Self, ChatError> {
        if gguf::is_gguf(model) {
            let file = Gguf::open(model)?;
            return match file.chat_template()? {
                Some(source) => Self::parse(model, source.to_owned()),
                None => Self::gemma(),
            };
        }
        let path = model.join(files::CHAT_TEMPLATE);
        if let Some(source) = read_if_there(&path)? {
            return Self::parse(&path, source);
        }
        let path = model.join(files::TOKENIZER_CONFIG);
        match read_if_there(&path)? {
            Some(json) => Self::from_tokenizer_config(&path, &json),
            None => Self::gemma(),
        }
    }

    /// The `chat_template` in the text of a `tokenizer_config.json`, else [`GEMMA_TEMPLATE`]; `path` is for
    /// messages.
    ///
    /// # Errors
    /// [`ChatError::TokenizerConfig`] or [`ChatError::Syntax`].
    pub fn from_tokenizer_config(path: &Path, json: &str) -> Result<Self, ChatError> {
        let template = template_in(json)
            .map_err(|problem| ChatError::TokenizerConfig { path: path.to_owned(), problem })?;
        template.map_or_else(Self::gemma, |source| Self::parse(path, source))
    }

    /// Gemma's own format.
    ///
    /// # Errors
    /// None in practice; the signature is [`ChatTemplate::parse`]'s.
    pub fn gemma() -> Result<Self, ChatError> {
        Self::parse(Path::new("built-in Gemma template"), GEMMA_TEMPLATE.to_owned())
    }

    /// Parses the text of a template; `path` is for messages.
    ///
    /// # Errors
    /// [`ChatError::Syntax`].
    pub fn parse(path: &Path, source: String) -> Result<Self, ChatError> {
        let mut environment = Environment::new();
        // As transformers sets up Jinja.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(TEMPLATE_NAME, source)
            .map_err(|source| ChatError::Syntax { path: path.to_owned(), source })?;
        Ok(Self { environment, path: path.to_owned() })
    }

    /// The text of a conversation, which a leading system message is folded into (see [`Role::System`]). With
    /// `add_generation_prompt`, the text ends where the model's answer begins.
    ///
    /// # Errors
    /// [`ChatError`] when the messages are out of order or the template fails.
    pub fn render(
        &self,
        messages: &[Message],
        bos_text: &str,
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let turns = turns(messages)?;
        if add_generation_prompt && turns.last().is_some_and(|turn| turn.role == Role::Assistant) {
            return Err(ChatError::NothingToAnswer { index: messages.len() - 1 });
        }
        self.environment
            .get_template(TEMPLATE_NAME)
            .and_then(|template| {
                template.render(context! { messages => turns, bos_token => bos_text, add_generation_prompt })
            })
            .map_err(|source| ChatError::Render { path: self.path.clone(), source })
    }
}

/// Templates call this to refuse a conversation.
fn raise_exception(message: String) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn read_if_there(path: &Path) -> Result<Option<String>, ChatError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ChatError::Read { path: path.to_owned(), source }),
    }
}

/// `chat_template` is one template, or a list of named ones of which `default` is meant.
fn template_in(tokenizer_config: &str) -> Result<Option<String>, String> {
    let config: Value =
        serde_json::from_str(tokenizer_config).map_err(|error| format!("not valid JSON: {error}"))?;
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(template)) => Ok(Some(template.clone())),
        Some(Value::Array(named)) => {
            let default = named.iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            match default.and_then(|entry| entry.get("template")) {
                Some(Value::String(template)) => Ok(Some(template.clone())),
                _ => {
                    let names: Vec<_> =
                        named.iter().filter_map(|entry| entry.get("name")?.as_str()).collect();
                    Err(format!(
                        "`chat_template` has no template named `default` (found: {})",
                        names.join(", ")
                    ))
                }
            }
        }
        Some(other) => Err(format!(
            "`chat_template` must be a string or a list of named templates, found {}",
            excerpt(other)
        )),
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
