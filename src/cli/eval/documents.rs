//! What perplexity is found of: a text, documents in lines of JSON, or token ids.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lapidary::model::Model;
use lapidary::models::chat::{ChatTemplate, messages_in};
use lapidary::models::config::GemmaConfig;
use lapidary::models::tokenizer::Tokenizer;
use serde::Deserialize;
use serde_json::Value;

use super::jsonl::{self, Line};
use crate::cli::input::{self, Text};

/// Documents, and where they are from.
pub struct Corpus {
    /// The file's name.
    pub source: String,
    /// At least one.
    pub documents: Vec<Document>,
}

/// A document as the model sees it, without BOS: each window has its own.
pub struct Document {
    tokens: Vec<u32>,
    /// Length of its text; `None` where only ids are known.
    bytes: Option<usize>,
}

impl AsRef<[u32]> for Document {
    fn as_ref(&self) -> &[u32] {
        &self.tokens
    }
}

impl Corpus {
    /// The documents of a file: those of its lines if it is a `.jsonl` file, else one, its text. `-` is standard
    /// input.
    ///
    /// # Errors
    /// If the file cannot be read, or a document is malformed or empty.
    pub fn open(path: &Path, model: &Model, limit: Option<usize>) -> Result<Self> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl")) {
            return Self::of_lines(input::name(path), &input::read_text(path)?, model, limit);
        }
        let Text { name, text } = Text::of_file(path)?;
        let document = Document::of_text(&text, input::tokenizer(model)?)?;
        document.check(&name, model.checkpoint().config())?;
        Ok(Self { source: name, documents: vec![document] })
    }

    /// The documents of a token id file.
    ///
    /// # Errors
    /// If the file cannot be read, or a document is malformed or empty, or has an unknown token.
    pub fn of_token_ids(path: &Path, model: &Model, limit: Option<usize>) -> Result<Self> {
        let (source, config) = (input::name(path), model.checkpoint().config());
        let sequences = input::token_ids(path)?.into_iter().take(limit.unwrap_or(usize::MAX)).enumerate();
        let documents = sequences.map(|(index, ids)| {
            let document = Document::of_ids(ids, config);
            document.check(&format!("{source}, sequence {index} (counted from 0)"), config)?;
            Ok(document)
        });
        let documents = documents.collect::<Result<_>>()?;
        Ok(Self { source, documents })
    }

    /// The documents of lines of JSON; `source` is what the file is called.
    ///
    /// # Errors
    /// If a line is malformed, or its document is empty.
    pub fn of_lines(source: String, text: &str, model: &Model, limit: Option<usize>) -> Result<Self> {
        let lines: Vec<Line<DocumentLine>> = jsonl::parse(&source, text, limit)?;
        // Parsed once, and only if there is a conversation: a model may be without one that is usable.
        let mut template = None;
        let mut documents = Vec::with_capacity(lines.len());
        for Line { place, value } in lines {
            let document = value
                .encode(model, &mut template)
                .with_context(|| format!("{place} is no document that can be scored"))?;
            document.check(&place, model.checkpoint().config())?;
            documents.push(document);
        }
        Ok(Self { source, documents })
    }

    /// Length of all texts; `None` if some documents are known as ids only.
    pub fn bytes(&self) -> Option<usize> {
        self.documents.iter().map(|document| document.bytes).sum()
    }
}

/// A line of a `.jsonl` file: one of the three. Other fields may be there and are not looked at.
#[derive(Deserialize)]
struct DocumentLine {
    text: Option<String>,
    token_ids: Option<Vec<Value>>,
    messages: Option<Value>,
}

impl DocumentLine {
    fn encode(self, model: &Model, template: &mut Option<ChatTemplate>) -> Result<Document> {
        match (self.text, self.token_ids, self.messages) {
            (Some(text), None, None) => Document::of_text(&text, input::tokenizer(model)?),
            (None, Some(ids), None) => {
                Ok(Document::of_ids(input::sequence(0, &ids)?, model.checkpoint().config()))
            }
            (None, None, Some(messages)) => {
                let tokenizer = input::tokenizer(model)?;
                let template = match template {
                    Some(template) => template,
                    None => template.insert(model.chat_template()?),
                };
                let text = template.render(&messages_in(&messages)?, tokenizer.bos_text(), false)?;
                Document::of_text(&text, tokenizer)
            }
            _ => bail!("it must have one of `text`, `token_ids` and `messages`"),
        }
    }
}

impl Document {
    fn of_text(text: &str, tokenizer: &Tokenizer) -> Result<Self> {
        // A rendered conversation spells BOS out.
        let text = text.strip_prefix(tokenizer.bos_text()).unwrap_or(text);
        let mut tokens = tokenizer.encode(text)?;
        tokens.remove(0);
        Ok(Self { tokens, bytes: Some(text.len()) })
    }

    fn of_ids(mut tokens: Vec<u32>, config: &GemmaConfig) -> Self {
        if tokens.first() == Some(&config.bos_token_id) {
            tokens.remove(0);
        }
        Self { tokens, bytes: None }
    }

    /// Refuses a document that there is nothing to score of, or whose tokens the model lacks.
    fn check(&self, place: &str, config: &GemmaConfig) -> Result<()> {
        if self.tokens.is_empty() {
            bail!("{place} is empty; give at least one token besides BOS");
        }
        let vocab = config.live_vocab_size();
        if let Some(id) = self.tokens.iter().find(|id| **id as usize >= vocab) {
            bail!(
                "{place}: token id {id} is not in the vocabulary, whose {vocab} ids are 0 to {}",
                vocab - 1
            );
        }
        Ok(())
    }
}
