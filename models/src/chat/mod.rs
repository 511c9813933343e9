//! Conversations, and how a model's template writes them as one text.

mod date;
mod error;
mod messages;
mod template;

pub use error::ChatError;
pub use messages::{Message, Role, messages_in, parse_messages};
pub use template::{ChatTemplate, GEMMA_TEMPLATE};
