//! What has been said so far.

use lapidary::models::chat::{Message, Role};

/// Instructions, and messages with their answers.
#[derive(Debug, Default)]
pub struct Conversation {
    instructions: Option<String>,
    /// User and assistant in turn.
    turns: Vec<Message>,
}

impl Conversation {
    /// A conversation that has not begun.
    pub fn new(instructions: Option<String>) -> Self {
        Self { instructions, turns: Vec::new() }
    }

    /// The messages that the model is to answer when `question` is asked now.
    pub fn asking(&self, question: &str) -> Vec<Message> {
        let instructions = self.instructions.iter().map(|text| Message::new(Role::System, text));
        let question = Message::new(Role::User, question);
        instructions.chain(self.turns.iter().cloned()).chain([question]).collect()
    }

    /// Remembers a question with its answer.
    pub fn answered(&mut self, question: String, answer: String) {
        self.turns.extend([Message::new(Role::User, question), Message::new(Role::Assistant, answer)]);
    }

    /// Replaces the instructions.
    pub fn instruct(&mut self, instructions: Option<String>) {
        self.instructions = instructions;
    }

    /// Forgets all but the instructions.
    pub fn reset(&mut self) {
        self.turns.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_outlive_a_reset() {
        let mut conversation = Conversation::new(Some("Be brief.".into()));
        conversation.answered("Hi".into(), "Hello".into());
        let system = Message::new(Role::System, "Be brief.");
        let again = Message::new(Role::User, "Again");
        let hi = Message::new(Role::User, "Hi");
        let hello = Message::new(Role::Assistant, "Hello");
        assert_eq!(conversation.asking("Again"), [system.clone(), hi, hello, again.clone()]);
        conversation.reset();
        assert_eq!(conversation.asking("Again"), [system, again.clone()]);
        conversation.instruct(None);
        assert_eq!(conversation.asking("Again"), [again]);
    }
}
