//! Entering messages on a terminal.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lapidary::runtime::plugins::Environment;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Behavior, CompletionType, Config, Editor, Helper};

use super::entry;
use crate::cli::interrupt;
use crate::cli::ui::Ui;

const PROMPT: &str = "> ";
const HISTORY_ENTRIES: usize = 1000;

/// What came of a prompt.
pub enum Line {
    /// An entry, of one line or several.
    Entered(String),
    /// The person thought better of it: Ctrl-C.
    Cleared,
    /// The person is done: Ctrl-D.
    End,
}

/// A line editor that remembers entries from one chat to the next.
pub struct LineEditor {
    editor: Editor<EntryHelper, DefaultHistory>,
    /// Where entries are remembered, if anywhere.
    history: Option<PathBuf>,
}

impl LineEditor {
    /// Takes the terminal, even if standard output goes elsewhere.
    ///
    /// # Errors
    /// If there is no terminal to edit on.
    pub fn open(ui: &Ui) -> Result<Self> {
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_ENTRIES)?
            .history_ignore_dups(true)?
            .build();
        // It would take the signal that stops an answer; at its own prompt, Ctrl-C is a key and no signal.
        let editor = interrupt::keeping(|| Editor::with_config(config));
        let mut editor = editor.context("the terminal cannot be used")?;
        editor.set_helper(Some(EntryHelper));
        let history = match open_history(&mut editor) {
            Ok(path) => Some(path),
            Err(error) => {
                ui.note(format_args!("Entries will not be remembered: {error:#}."));
                None
            }
        };
        Ok(Self { editor, history })
    }

    /// Asks for an entry.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn read(&mut self) -> Result<Line> {
        let text = match self.editor.readline(PROMPT) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => return Ok(Line::Cleared),
            Err(ReadlineError::Eof) => return Ok(Line::End),
            Err(error) => return Err(error).context("cannot read from the terminal"),
        };
        if !text.trim().is_empty() {
            self.editor.add_history_entry(text.as_str()).context("cannot remember an entry")?;
            // At once, since the program may be ended at any time. A history that cannot be written to any more
            // is no reason to stop talking.
            if let Some(path) = &self.history
                && self.editor.append_history(path).is_err()
            {
                self.history = None;
            }
        }
        Ok(Line::Entered(text))
    }
}

fn open_history(editor: &mut Editor<EntryHelper, DefaultHistory>) -> Result<PathBuf> {
    let directory = Environment::from_process().data_dir()?;
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let path = directory.join("chat_history");
    let exists = |path: &Path| path.try_exists().unwrap_or(true);
    if exists(&path) { editor.load_history(&path) } else { editor.save_history(&path) }
        .with_context(|| format!("{} cannot be used", path.display()))?;
    Ok(path)
}

/// Completes commands and tells when an entry is complete.
struct EntryHelper;

impl Helper for EntryHelper {}

impl Hinter for EntryHelper {
    type Hint = String;
}

impl Highlighter for EntryHelper {}

impl Completer for EntryHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).filter(|typed| typed.starts_with('/'));
        let matching =
            |typed: &str| entry::COMMANDS.into_iter().filter(move |name| name.starts_with(typed)).collect();
        let candidates: Vec<&str> = typed.map(matching).unwrap_or_default();
        Ok((0, candidates.into_iter().map(str::to_owned).collect()))
    }
}

impl Validator for EntryHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match entry::is_incomplete(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}
