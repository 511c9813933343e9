//! `lapidary generate`.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use lapidary::engine::cache::Origins;
use lapidary::engine::{Choice, Engine, FinishReason, GenerateOptions, Generation, Timings, check_sequences};
use lapidary::model::Model;
use lapidary::models::chat::{Message, Role};
use lapidary::models::program::SamplerShape;
use serde_json::{Value, json};

use super::args::{DeviceArgs, ModelArgs, SamplingArgs, at_least_one, whole};
use super::exit::Interrupted;
use super::input::{self, Conversation, Text};
use super::output;
use super::session::{self, Session};
use super::ui::Ui;

/// Arguments of `generate`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lapidary generate --prompt \"The opposite of hot is\"
  lapidary generate --model DIR --chat --prompt \"Why is the sky blue?\" --temperature 0.7 --seed 1
  lapidary generate --model DIR --prompt \"One\" --prompt \"Two\" --json
  echo \"Once upon a time\" | lapidary generate --model DIR --max-new-tokens 64
  lapidary generate --model DIR --token-ids ids.json --json")]
pub struct GenerateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    sampling: SamplingArgs,

    /// Text to continue; given several times, the prompts run as one batch. Default: standard input.
    #[arg(long, short, value_name = "TEXT", conflicts_with = "token_ids")]
    prompt: Vec<String>,

    /// Treat each prompt as a user's message and answer it; with a file, answer that conversation (JSON,
    /// [{"role": ..., "content": ...}, ...]).
    #[arg(long, value_name = "MESSAGES.json", num_args = 0..=1, conflicts_with = "token_ids")]
    chat: Option<Option<PathBuf>>,

    /// Prompts as token ids, so that a model without a tokenizer is usable: a JSON array of ids, or of arrays.
    #[arg(long, value_name = "FILE")]
    token_ids: Option<PathBuf>,

    /// Most tokens to generate for each prompt.
    #[arg(long, short = 'n', default_value_t = 256, value_name = "N")]
    #[arg(allow_negative_numbers = true, value_parser = whole::<usize>)]
    max_new_tokens: usize,

    /// Text that ends an answer and is left out of it; may be given several times.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    stop: Vec<String>,

    /// Go on after the model ends its answer: generate exactly --max-new-tokens.
    #[arg(long)]
    ignore_eos: bool,

    /// Most prompts that are answered at a time; the others wait until one of these is answered. Default: all.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least_one)]
    batch: Option<NonZeroUsize>,

    /// Tell of each token its log-probability, and the N likeliest tokens with theirs (0 to 20); with --json.
    #[arg(long, value_name = "N", requires = "json", allow_negative_numbers = true, value_parser = top_logprobs)]
    logprobs: Option<usize>,

    /// Print one JSON object: token ids, text, why each answer ended, and timings.
    #[arg(long)]
    json: bool,
}

/// Generates and streams the answer to standard output.
///
/// # Errors
/// If the model, device or prompts are unusable, or on Ctrl-C.
pub fn run(args: GenerateArgs, ui: &Ui) -> Result<()> {
    let options = GenerateOptions {
        max_new_tokens: args.max_new_tokens,
        sampling: args.sampling.sampling(),
        stop: args.stop.clone(),
        ignore_eos: args.ignore_eos,
        batch: args.batch,
        logprobs: args.logprobs,
        steps_per_dispatch: args.sampling.steps_per_dispatch,
    };
    options.sampling.check()?;
    let model = session::open_model(&args.model, ui)?;
    model.begin_reading_tokenizer();
    let prompts = prompts(&args, &model)?;
    check_sequences(model.checkpoint().config(), &prompts)?;
    if let Some(bundle) = args.device.bundle.read()? {
        bundle.check_sequences(&prompts)?;
    }
    if !args.stop.is_empty() {
        input::tokenizer(&model)?;
    }
    let prepare = |engine: &Engine| engine.prepare_generation(&prompts, &options);
    let session = Session::connect(model, &args.model, &args.device, ui)?.load(ui, prepare)?.for_good();
    session.tell_compilations(ui);

    let has_text = session.model.tokenizer_if_any().is_some();
    let streams = !args.json && prompts.len() == 1 && has_text;
    let (generations, timings) = session.generate(&prompts, &options, streams, ui)?;
    if args.json {
        output::json(&report(session, &generations, &timings))?;
    } else if streams {
        output::line("")?;
    } else {
        print_all(&generations, has_text)?;
    }
    session.tell_compilations(ui);
    ui.remark(summary(session, &timings));
    if generations.iter().any(|g| g.finish_reason == FinishReason::Cancelled) {
        return Err(Interrupted.into());
    }
    Ok(())
}

/// The token ids of what is to be continued or answered. Only a text waits for the tokenizer.
fn prompts(args: &GenerateArgs, model: &Model) -> Result<Vec<Vec<u32>>> {
    if let Some(path) = &args.token_ids {
        return input::token_ids(path);
    }
    if let Some(Some(path)) = &args.chat {
        if !args.prompt.is_empty() {
            bail!("give the conversation in --chat {}, or a --prompt, but not both", path.display());
        }
        let conversation = Conversation::of_file(path)?;
        return Ok(vec![conversation.encode(model, input::tokenizer(model)?)?]);
    }
    let texts = if args.prompt.is_empty() {
        vec![Text::piped("--prompt, --chat FILE or --token-ids")?]
    } else {
        Text::of_flag("--prompt", &args.prompt)?
    };
    let tokenizer = input::tokenizer(model)?;
    let encode = |text: Text| match args.chat {
        Some(_) => Ok(model.encode_chat(tokenizer, &[Message::new(Role::User, text.text)])?),
        None => text.encode(tokenizer),
    };
    texts.into_iter().map(encode).collect()
}

/// Several answers, or answers without text: one after another.
fn print_all(generations: &[Generation], has_text: bool) -> io::Result<()> {
    for (index, generation) in generations.iter().enumerate() {
        if generations.len() > 1 && has_text {
            output::line(format_args!("[{index}] {}", generation.text))?;
        } else if has_text {
            output::line(&generation.text)?;
        } else {
            output::line(format_args!("{:?}", generation.token_ids))?;
        }
    }
    Ok(())
}

/// One object for one prompt; for several, a list of their answers beside the timings.
fn report(session: &Session, generations: &[Generation], timings: &Timings) -> Value {
    let answer = |generation: &Generation| {
        let mut answer = json!({
            "token_ids": generation.token_ids,
            "text": generation.text,
            "finish_reason": generation.finish_reason.name(),
        });
        if let Some(choices) = &generation.logprobs {
            answer["logprobs"] = choices.iter().map(logprobs).collect();
        }
        answer
    };
    let origins = session.engine.origins();
    let timings = json!({
        "plugin_s": session.plugin_s,
        "compile_s": session.engine.compile_time().as_secs_f64(),
        "load_s": session.load_s,
        "prefill_s": timings.prefill.as_secs_f64(),
        "decode_s": timings.decode.as_secs_f64(),
        "prefill_tokens": timings.prefill_tokens,
        "decode_tokens": timings.decode_tokens,
        "compile_cached": session.engine.is_compile_cached(),
        "programs": {
            "compiled": origins.compiled,
            "cached": origins.cached,
            "bundled": origins.bundled,
        },
    });
    match generations {
        [only] => {
            let mut object = answer(only);
            object["timings"] = timings;
            object
        }
        several => {
            json!({ "generations": several.iter().map(answer).collect::<Vec<_>>(), "timings": timings })
        }
    }
}

/// A token's log-probability, and those of the likeliest ones.
fn logprobs(choice: &Choice) -> Value {
    let one = |token: u32, logprob: f32| json!({ "token_id": token, "logprob": logprob });
    let mut told = one(choice.token, choice.logprob);
    told["top"] = choice.top.iter().map(|&(token, logprob)| one(token, logprob)).collect();
    told
}

/// Parses how many of the likeliest tokens are told of.
pub fn top_logprobs(text: &str) -> Result<usize, String> {
    const MAX: usize = SamplerShape::MAX_TOP_LOGPROBS;
    whole(text).ok().filter(|&n| n <= MAX).ok_or_else(|| format!("give a whole number from 0 to {MAX}"))
}

/// What a person wants to know of a run.
fn summary(session: &Session, timings: &Timings) -> String {
    let compiled = compiled(session.engine.compile_time(), session.engine.origins());
    format!("[{compiled}, load {:.1} s | {}]", session.load_s, rates(timings))
}

/// How long programs took to become executables, and where these came from if no compiler ran.
pub fn compiled(time: Duration, origins: Origins) -> String {
    let seconds = time.as_secs_f64();
    match origins {
        Origins { compiled: 0, cached: 0, .. } => format!("programs {seconds:.1} s (from the bundle)"),
        Origins { compiled: 0, .. } => format!("compile {seconds:.1} s (cached)"),
        Origins { .. } => format!("compile {seconds:.1} s"),
    }
}

/// Tokens read and written, and how fast.
pub fn rates(timings: &Timings) -> String {
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    let Timings { prefill, decode, prefill_tokens, reused_tokens, decode_tokens } = *timings;
    let kept = match reused_tokens {
        0 => String::new(),
        tokens => format!("{tokens} tokens kept, "),
    };
    format!(
        "prompt {kept}{prefill_tokens} tokens, {:.1}/s | answer {decode_tokens} tokens, {:.1}/s",
        rate(prefill_tokens, prefill),
        rate(decode_tokens, decode),
    )
}
