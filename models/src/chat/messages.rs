//! Messages, and the order they must come in.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::error::ChatError;
use crate::json::{excerpt, type_name};

/// Whose a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation. Gemma has no such turn; they go into the first user turn.
    System,
    /// The one who asks.
    User,
    /// The model, which Gemma's own format calls `model`.
    Assistant,
}

impl Role {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "system" => Some(Self::System),
            "user" => Some(Self::User),
            "assistant" | "model" => Some(Self::Assistant),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        })
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Whose it is.
    pub role: Role,
    /// What it says.
    pub content: String,
}

impl Message {
    /// A message from `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// Reads a conversation: a JSON list of `{"role", "content"}`, or an object with such a list as `messages`.
///
/// # Errors
/// [`ChatError`], with the message's index.
pub fn parse_messages(json: &[u8]) -> Result<Vec<Message>, ChatError> {
    messages_in(&serde_json::from_slice(json).map_err(ChatError::Json)?)
}

/// The conversation in a JSON value of one of the forms of [`parse_messages`].
///
/// # Errors
/// [`ChatError`], with the message's index.
pub fn messages_in(value: &Value) -> Result<Vec<Message>, ChatError> {
    let list = match value {
        Value::Object(object) => object.get("messages"),
        other => Some(other),
    };
    let Some(Value::Array(list)) = list else {
        return Err(ChatError::NotMessages { found: excerpt(value) });
    };
    list.iter().enumerate().map(|(index, value)| parse_message(index, value)).collect()
}

fn parse_message(index: usize, value: &Value) -> Result<Message, ChatError> {
    let wrong = |problem: String| ChatError::Message { index, problem };
    let Value::Object(object) = value else {
        return Err(wrong(format!("must be an object, found {}", type_name(value))));
    };
    let text = |field: &str| match object.get(field) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(wrong(format!("`{field}` must be a string, found {}", type_name(other)))),
        None => Err(wrong(format!("`{field}` is missing"))),
    };
    let name = text("role")?;
    let role = Role::from_name(name)
        .ok_or_else(|| wrong(format!("`role` is `{name}`, but must be `system`, `user` or `assistant`")))?;
    Ok(Message::new(role, text("content")?))
}

/// The turns that a template is given: user and assistant alternating, a leading system message folded into the
/// first user turn, with an empty line between.
pub(super) fn turns(messages: &[Message]) -> Result<Vec<Message>, ChatError> {
    let (system, rest) = match messages {
        [system, rest @ ..] if system.role == Role::System => (Some(system), rest),
        rest => (None, rest),
    };
    let skipped = messages.len() - rest.len();
    let mut turns: Vec<Message> = Vec::with_capacity(rest.len());
    for (turn, message) in rest.iter().enumerate() {
        let expected = if turn % 2 == 0 { Role::User } else { Role::Assistant };
        if message.role != expected {
            return Err(ChatError::Order { index: turn + skipped, found: message.role, expected });
        }
        let content = match (turn, system) {
            (0, Some(system)) => format!("{}\n\n{}", system.content, message.content),
            _ => message.content.clone(),
        };
        turns.push(Message { role: message.role, content });
    }
    if turns.is_empty() { Err(ChatError::Empty) } else { Ok(turns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let list = br#"[{"role": "user", "content": "a"}, {"role": "model", "content": "b"}]"#;
        let expected = [Message::new(Role::User, "a"), Message::new(Role::Assistant, "b")];
        assert_eq!(parse_messages(list).unwrap(), expected);
        let wrapped = format!("{{\"messages\": {}}}", std::str::from_utf8(list).unwrap());
        assert_eq!(parse_messages(wrapped.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn malformed_messages_are_named() {
        for (json, part) in [
            ("{", "not valid JSON"),
            ("\"hi\"", "must be a list"),
            ("{\"message\": []}", "must be a list"),
            ("[1]", "message 0: must be an object"),
            (r#"[{"role": "user", "content": "a"}, {"role": "user"}]"#, "message 1: `content` is missing"),
            (r#"[{"role": "user", "content": ["a"]}]"#, "message 0: `content` must be a string"),
            (r#"[{"content": "a"}]"#, "message 0: `role` is missing"),
            (r#"[{"role": "tool", "content": "a"}]"#, "`role` is `tool`"),
        ] {
            let message = parse_messages(json.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    #[test]
    fn system_folds_into_the_first_user_turn() {
        let messages = [
            Message::new(Role::System, "Be brief."),
            Message::new(Role::User, "Hi"),
            Message::new(Role::Assistant, "Hello"),
        ];
        let expected = [Message::new(Role::User, "Be brief.\n\nHi"), Message::new(Role::Assistant, "Hello")];
        assert_eq!(turns(&messages).unwrap(), expected);
    }

    #[test]
    fn roles_must_alternate() {
        let of = |roles: &[Role]| {
            turns(&roles.iter().map(|role| Message::new(*role, "x")).collect::<Vec<_>>()).unwrap_err()
        };
        use Role::{Assistant, System, User};
        assert!(matches!(of(&[]), ChatError::Empty));
        assert!(matches!(of(&[System]), ChatError::Empty));
        assert!(matches!(of(&[Assistant]), ChatError::Order { index: 0, expected: User, .. }));
        assert!(matches!(of(&[User, User]), ChatError::Order { index: 1, expected: Assistant, .. }));
        assert!(matches!(of(&[System, User, System]), ChatError::Order { index: 2, found: System, .. }));
        let message = of(&[System, System, User]).to_string();
        assert!(message.contains("message 1 is from `system`, but `user` is next"), "{message}");
    }
}
