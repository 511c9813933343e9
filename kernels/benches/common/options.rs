//! What to measure.

use std::path::PathBuf;

use lapidary_kernels::{Features, Instructions};

/// Words that choose (names of shapes, forms or encodings, and numbers of rows), and where the table goes.
pub struct Options {
    words: Vec<String>,
    /// The document that the table is put into.
    pub splice: Option<PathBuf>,
}

impl Options {
    /// Those of the command line. A document's path is taken from the workspace's root, where the command is given and
    /// cargo does not run it.
    pub fn of_arguments() -> Self {
        let mut options = Self { words: Vec::new(), splice: None };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--splice" => {
                    let file = arguments.next().unwrap_or_else(|| stop("--splice wants a file"));
                    options.splice =
                        Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(file));
                }
                _ => options.words.push(argument),
            }
        }
        if options.splice.is_some() && !options.words.is_empty() {
            stop("--splice keeps a whole table: leave out the words that choose a part");
        }
        options
    }

    /// Whether this one of `all` was asked for, or none of them.
    pub fn wants(&self, name: &str, all: &[&str]) -> bool {
        self.chooses(name, all, all)
    }

    /// Whether this one of `all` was asked for, or none of them and it is one of the default.
    pub fn chooses(&self, name: &str, all: &[&str], default: &[&str]) -> bool {
        match all.iter().any(|name| self.has(name)) {
            true => self.has(name),
            false => default.contains(&name),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// The numbers among the words, or these.
    pub fn numbers_or(&self, default: &[usize]) -> Vec<usize> {
        let numbers: Vec<usize> = self.words.iter().filter_map(|word| word.parse().ok()).collect();
        if numbers.is_empty() { default.to_vec() } else { numbers }
    }

    /// What the processor has: the best, or the forms that are asked for by name, from the best on.
    pub fn forms(&self) -> Vec<(&'static str, Features)> {
        let mut features = Features::detect();
        let mut forms = Vec::new();
        for instructions in Instructions::ALL.iter().rev() {
            if features.has(*instructions) {
                forms.push((instructions.name(), features));
            }
            features = features.without(*instructions);
        }
        let names: Vec<&str> = forms.iter().map(|form| form.0).collect();
        if names.iter().any(|name| self.has(name)) {
            forms.retain(|form| self.has(form.0));
        } else {
            forms.truncate(1);
        }
        forms
    }
}

/// Ends with a message.
pub fn stop(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(2)
}
