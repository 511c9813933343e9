//! What a person entered: a message or a command, on one line or several.

/// What `/help` says.
pub const HELP: &str = "\
/system TEXT  set the instructions of the conversation; without TEXT, remove them
/reset        forget the conversation, but not the instructions
/exit         end, as Ctrl-D does
/help         this list

A \\ at the end of a line goes on in the next, and so does everything between \"\"\" and \"\"\".
Ctrl-C stops an answer, or clears the line. A message that begins with / needs a space before it.";

/// The commands, for completion.
pub const COMMANDS: [&str; 4] = ["/exit", "/help", "/reset", "/system "];

const QUOTES: &str = "\"\"\"";

/// An entry, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'t> {
    /// Only white space.
    Nothing,
    /// Something to answer.
    Message(String),
    /// `/help`
    Help,
    /// `/reset`
    Reset,
    /// `/system`, with instructions or none.
    System(Option<String>),
    /// `/exit`
    Exit,
    /// Something else that begins with a slash.
    Unknown(&'t str),
}

impl<'t> Entry<'t> {
    /// Understands a complete entry.
    pub fn parse(text: &'t str) -> Self {
        if !text.starts_with('/') {
            let message = unquoted(text);
            return if message.trim().is_empty() { Self::Nothing } else { Self::Message(message) };
        }
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match name {
            "/help" => Self::Help,
            "/reset" => Self::Reset,
            "/exit" => Self::Exit,
            "/system" => {
                let instructions = unquoted(rest).trim().to_owned();
                Self::System(Some(instructions).filter(|text| !text.is_empty()))
            }
            _ => Self::Unknown(name),
        }
    }
}

/// Whether an entry goes on in the next line.
pub fn is_incomplete(text: &str) -> bool {
    let body = text.strip_prefix("/system").unwrap_or(text);
    match body.trim_start().strip_prefix(QUOTES) {
        Some(quoted) => !quoted.trim_end().ends_with(QUOTES),
        None => text.ends_with('\\'),
    }
}

/// The text without the quotes or backslashes that held its lines together.
fn unquoted(text: &str) -> String {
    let quoted = text.trim().strip_prefix(QUOTES).and_then(|rest| rest.strip_suffix(QUOTES));
    match quoted {
        Some(quoted) => {
            let quoted = quoted.strip_prefix('\n').unwrap_or(quoted);
            quoted.strip_suffix('\n').unwrap_or(quoted).to_owned()
        }
        None => text.replace("\\\n", "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Entry<'_> {
        Entry::Message(text.to_owned())
    }

    #[test]
    fn commands_and_messages_are_told_apart() {
        assert_eq!(Entry::parse("/help"), Entry::Help);
        assert_eq!(Entry::parse("/reset  "), Entry::Reset);
        assert_eq!(Entry::parse("/exit now"), Entry::Exit);
        assert_eq!(Entry::parse("/system  Be brief. "), Entry::System(Some("Be brief.".to_owned())));
        assert_eq!(Entry::parse("/system"), Entry::System(None));
        assert_eq!(Entry::parse("/etc/passwd what?"), Entry::Unknown("/etc/passwd"));
        assert_eq!(Entry::parse("/"), Entry::Unknown("/"));
        assert_eq!(Entry::parse(" /etc"), message(" /etc"));
        assert_eq!(Entry::parse(" \t"), Entry::Nothing);
        assert_eq!(Entry::parse("\"\"\"\n\"\"\""), Entry::Nothing);
    }

    #[test]
    fn lines_are_joined() {
        assert_eq!(Entry::parse("one\\\ntwo"), message("one\ntwo"));
        assert_eq!(Entry::parse("\"\"\"\none\\\n/two\n\"\"\" "), message("one\\\n/two"));
        assert_eq!(Entry::parse("\"\"\"one\"\"\""), message("one"));
        let two_lines = Some("one\ntwo".to_owned());
        assert_eq!(Entry::parse("/system \"\"\"one\ntwo\"\"\""), Entry::System(two_lines));
    }

    #[test]
    fn an_entry_goes_on_until_it_is_closed() {
        for text in ["a\\", "a\\\nb\\", "\"\"\"", "\"\"\"a\nb", "\"\"\"\"\"", " \"\"\" a", "/system \"\"\"a"]
        {
            assert!(is_incomplete(text), "{text}");
        }
        for text in
            ["", "a", "a\\\nb", "\"\"\"a\nb\"\"\"", "\"\"\"\"\"\"", "say \"\"\"", "/system \"\"\"a\"\"\""]
        {
            assert!(!is_incomplete(text), "{text}");
        }
    }
}
