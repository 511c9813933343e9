//! `lapidary chat`.

use std::io::{self, BufRead, IsTerminal};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use lapidary::engine::cache::Origins;
use lapidary::engine::{Engine, FinishReason, GenerateOptions, PrefixCache, Timings};
use lapidary::model::Model;
use lapidary::models::tokenizer::Tokenizer;

use super::args::{DeviceArgs, ModelArgs, SamplingArgs, whole};
use super::exit::{self, Interrupted};
use super::session::{self, Session};
use super::ui::{self, Ui};
use super::{generate, input, interrupt, output};

mod conversation;
mod entry;
mod line_editor;

use conversation::Conversation;
use entry::Entry;
use line_editor::{Line, LineEditor};

/// Arguments of `chat`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary chat
  lapidary chat --model ~/models/gemma-2-2b-it --temperature 0.7 --seed 1
  lapidary chat --model google/gemma-2-2b-it --system \"Answer in one sentence.\"
  printf 'Hello\\nAnd again\\n' | lapidary chat --model DIR

At the prompt: /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends. Piped input is one message a line.")]
pub struct ChatArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    sampling: SamplingArgs,

    /// Instructions for the whole conversation.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// Most tokens of an answer.
    #[arg(long, short = 'n', default_value_t = 1024, value_name = "N")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    max_new_tokens: usize,
}

/// Answers messages until there are no more.
///
/// # Errors
/// If the model or device is unusable or standard output is closed. Where messages are piped, also if one of them
/// cannot be answered, or on Ctrl-C; a person is told and goes on.
pub fn run(args: ChatArgs, ui: &Ui) -> Result<()> {
    let options = GenerateOptions {
        max_new_tokens: args.max_new_tokens,
        sampling: args.sampling.sampling(),
        steps_per_dispatch: args.sampling.steps_per_dispatch,
        ..GenerateOptions::default()
    };
    options.sampling.check()?;
    let model = session::open_model(&args.model, ui)?;
    model.begin_reading_tokenizer();
    model.chat_template()?;
    let conversation = Conversation::new(args.system);
    let likely = likely_tokens(&model, &conversation)?.min(model.checkpoint().config().context);
    let prepare = |engine: &Engine| engine.prepare_generation(&[vec![0; likely]], &options);
    let session = Session::connect(model, &args.model, &args.device, ui)?.load(ui, prepare)?.for_good();
    let chat = Chat {
        tokenizer: input::tokenizer(&session.model)?,
        session,
        options,
        conversation,
        kept: PrefixCache::new(&session.engine),
        ui,
    };
    if io::stdin().is_terminal() { chat.talk() } else { chat.answer_lines() }
}

/// Tokens that a first message probably has, with what a conversation begins with.
fn likely_tokens(model: &Model, conversation: &Conversation) -> Result<usize> {
    const MESSAGE_TOKENS: usize = 12;
    let begun = model.encode_chat(input::tokenizer(model)?, &conversation.asking("Hello."))?;
    Ok(begun.len() + MESSAGE_TOKENS)
}

/// A conversation and what answers it.
struct Chat<'a> {
    session: &'a Session,
    tokenizer: &'a Tokenizer,
    options: GenerateOptions,
    conversation: Conversation,
    /// What was read and answered before, so that a turn reads only what is new.
    kept: PrefixCache<'a>,
    ui: &'a Ui,
}

impl Chat<'_> {
    /// A person's messages, from the terminal.
    fn talk(mut self) -> Result<()> {
        interrupt::converse();
        let mut editor = LineEditor::open(self.ui)?;
        let (model, placement) = (self.session.model.path(), self.session.engine.placement());
        self.ui
            .note(format_args!("{} on {placement}. /help lists the commands; Ctrl-D ends.", model.display()));
        loop {
            let line = match editor.read()? {
                Line::Entered(line) => line,
                Line::Cleared => continue,
                Line::End => return Ok(()),
            };
            match self.take(&line) {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Ok(ControlFlow::Continue(())) => {}
                Err(error) if error.is::<io::Error>() => return Err(error),
                // Ctrl-C stops an answer; only a request to terminate ends the program.
                Err(error) if error.is::<Interrupted>() => {
                    if interrupt::terminated() {
                        return Err(error);
                    }
                }
                Err(error) => exit::print(&error),
            }
        }
    }

    /// Piped messages, one a line.
    fn answer_lines(mut self) -> Result<()> {
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let line = line.with_context(|| format!("cannot read line {number} of standard input"))?;
            if self.take(&line).with_context(|| format!("line {number} of standard input"))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Does what an entry asks for. `Break` ends the chat.
    fn take(&mut self, text: &str) -> Result<ControlFlow<()>> {
        match Entry::parse(text) {
            Entry::Nothing => {}
            Entry::Message(message) => self.answer(message)?,
            Entry::Help => ui::tell(entry::HELP),
            Entry::Reset => {
                self.conversation.reset();
                self.kept.clear();
                self.ui.note("The conversation starts anew.");
            }
            Entry::System(instructions) => {
                self.ui.note(match instructions {
                    Some(_) => "The instructions hold from the next message on.",
                    None => "There are no instructions any more.",
                });
                self.conversation.instruct(instructions);
            }
            Entry::Exit => return Ok(ControlFlow::Break(())),
            Entry::Unknown(name) => bail!(
                "there is no command {name}; /help lists them. A message that begins with / needs a space before it"
            ),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Answers a message and remembers both. An answer that was stopped is remembered as far as it came.
    fn answer(&mut self, message: String) -> Result<()> {
        let engine = &self.session.engine;
        let context = engine.config().context;
        let messages = self.conversation.asking(&message);
        let prompt = self.session.model.encode_chat(self.tokenizer, &messages)?;
        let prompt_tokens = prompt.len();
        if prompt_tokens >= context {
            bail!(
                "the conversation has grown to {prompt_tokens} tokens, which leaves no room for an answer in the \
                 model's context of {context}; /reset starts anew"
            );
        }
        let (compile_time, compiled_before) = (engine.compile_time(), engine.compilations().len());
        let (answer, timings) = self.session.answer(&mut self.kept, &prompt, &self.options, self.ui)?;
        output::line("")?;
        self.session.tell_compilations(self.ui);
        let interrupted = answer.finish_reason == FinishReason::Cancelled;
        if answer.finish_reason == FinishReason::Length {
            let full = prompt_tokens + answer.token_ids.len() >= context;
            self.ui.note(match full {
                true => format!("[the model's context of {context} tokens is full; /reset starts anew]"),
                false => format!("[ended after --max-new-tokens {}]", self.options.max_new_tokens),
            });
        }
        self.conversation.answered(message, answer.text);
        let compilations = engine.compilations();
        let origins = Origins::of(compilations.iter().skip(compiled_before).map(|program| &**program));
        let compiling = engine.compile_time() - compile_time;
        self.ui.remark(summary(&timings, compiling, origins, interrupted));
        if interrupted { Err(Interrupted.into()) } else { Ok(()) }
    }
}

/// What a person wants to know of an answer.
fn summary(timings: &Timings, compiling: Duration, origins: Origins, interrupted: bool) -> String {
    let stopped = if interrupted { "stopped | " } else { "" };
    let compiled = match compiling {
        Duration::ZERO => String::new(),
        time => format!("{} | ", generate::compiled(time, origins)),
    };
    format!("[{stopped}{compiled}{}]", generate::rates(timings))
}
