//! Questions with right answers, in lines of JSON.

use anyhow::{Context, Result, bail};
use lapidary::eval::normalized;
use lapidary::model::Model;
use lapidary::models::chat::{Message, messages_in};
use serde::Deserialize;
use serde_json::Value;

use super::jsonl::{self, Line};
use crate::cli::input;

/// A question, ready to be asked.
pub struct Question {
    /// What it is one of.
    pub task: String,
    /// The user's last message.
    pub asked: String,
    /// The conversation, up to where the model's answer begins.
    pub prompt: Vec<u32>,
    /// Answers that are right, the one to show first.
    pub accepted: Vec<String>,
}

#[derive(Deserialize)]
struct QuestionLine {
    task: String,
    messages: Value,
    answer: String,
    #[serde(default)]
    accept: Vec<String>,
}

/// The questions in the text of a file called `name`, or the first `limit` of them.
///
/// # Errors
/// If a question is malformed or cannot be asked.
pub fn of_lines(name: &str, text: &str, model: &Model, limit: Option<usize>) -> Result<Vec<Question>> {
    let lines: Vec<Line<QuestionLine>> = jsonl::parse(name, text, limit)?;
    let (tokenizer, template) = (input::tokenizer(model)?, model.chat_template()?);
    let context = model.checkpoint().config().context;
    let question = |line: QuestionLine| -> Result<Question> {
        let QuestionLine { task, messages, answer, accept } = line;
        let messages = messages_in(&messages)?;
        let text = template.render(&messages, tokenizer.bos_text(), true)?;
        let prompt = tokenizer.encode(&text)?;
        if prompt.len() > context {
            bail!("it has {} tokens, but the model's context is {context}; shorten it", prompt.len());
        }
        let accepted: Vec<String> = std::iter::once(answer).chain(accept).collect();
        if accepted.iter().any(|answer| normalized(answer).is_empty()) {
            bail!("an empty answer is no right one; give `answer` (and each of `accept`) some text");
        }
        let asked = messages.into_iter().next_back().map(|Message { content, .. }| content);
        Ok(Question { task, asked: asked.unwrap_or_default(), prompt, accepted })
    };
    let asked = lines.into_iter().map(|Line { place, value }| {
        question(value).with_context(|| format!("{place} is no question that can be asked"))
    });
    asked.collect()
}
