//! Messages and progress on standard error.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Where messages to the user go. Standard output carries results only.
#[derive(Debug)]
pub struct Ui {
    quiet: bool,
    terminal: bool,
}

/// Writes a line to standard error. That nobody listens there (`2>&1 | head`) is no reason to fail or to panic.
pub fn tell(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

impl Ui {
    /// Messages, unless `quiet`; progress as well, if standard error is a terminal.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal() }
    }

    /// Tells the user something.
    pub fn note(&self, message: impl std::fmt::Display) {
        if !self.quiet {
            tell(message);
        }
    }

    /// Tells the user something unless they asked for nothing but the result, or nobody watches.
    pub fn remark(&self, message: impl std::fmt::Display) {
        if self.terminal {
            self.note(message);
        }
    }

    /// A bar of bytes and their rate; `total` 0 is not known yet.
    pub fn bytes(&self, what: &'static str, total: u64) -> ProgressBar {
        let bar = self.bar(ProgressBar::new(total));
        let style = ProgressStyle::with_template(
            "{msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        bar
    }

    /// A bar of things, such as tokens, and how many of them a second.
    pub fn count(&self, what: &'static str, things: &'static str, total: u64) -> ProgressBar {
        let bar = self.bar(ProgressBar::new(total));
        let template = format!("{{msg}} [{{bar:30}}] {{pos}}/{{len}} {things} {{rate}} {{elapsed}} {{left}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Into memory, which cannot fail.
                let _ = write!(out, "{:.1}/s", state.per_sec());
            });
            let style = style.with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
                if state.pos() > 0 {
                    let _ = write!(out, "eta {:#}", HumanDuration(state.eta()));
                }
            });
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        // The first step compiles, and large models are slow: time goes on between steps.
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }

    /// A sign of life for work of unknown length.
    pub fn spinner(&self, what: String) -> ProgressBar {
        let bar = self.bar(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn bar(&self, bar: ProgressBar) -> ProgressBar {
        if self.quiet || !self.terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar
    }
}
