//! `lapidary eval --tasks`: how many questions are answered correctly.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use lapidary::engine::Engine;
use lapidary::eval::{Tally, answers, is_correct, prepare_answers};
use lapidary::models::builtin;
use lapidary::models::progress::Progress;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::EvalArgs;
use super::questions::{self, Question};
use crate::cli::session::{self, Session};
use crate::cli::ui::Ui;
use crate::cli::{input, output};

/// What all tasks together are called.
const TOTAL: &str = "total";

/// Asks the questions of `file` and prints how many were answered correctly.
pub(super) fn run(args: &EvalArgs, file: Option<&Path>, ui: &Ui) -> Result<()> {
    let model = session::open_model(&args.model, ui)?;
    let (_, rows) = args.limits(model.checkpoint().config())?;
    let limit = args.limit.map(NonZeroUsize::get);
    let (source, text) = match file {
        Some(path) => (input::name(path), Cow::Owned(input::read_text(path)?)),
        None if model.is_builtin() => {
            ui.note(format_args!("questions: of facts that {} was not trained on", builtin::NAME));
            (format!("{}/tasks.jsonl", builtin::NAME), Cow::Borrowed(builtin::TASKS))
        }
        None => bail!("no questions to ask; give a .jsonl file of them: --tasks FILE.jsonl"),
    };
    let questions = questions::of_lines(&source, &text, &model, limit)?;
    let prompts: Vec<Vec<u32>> = questions.iter().map(|question| question.prompt.clone()).collect();
    let prepare = |engine: &Engine| prepare_answers(engine, &prompts, args.max_new_tokens, rows);
    let session = Session::connect(model, &args.model, &args.device, ui)?.load(ui, prepare)?.for_good();

    let bar = ui.count("answering", "questions", questions.len() as u64);
    let mut show = |progress: Progress| -> ControlFlow<()> {
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    };
    let tokenizer = input::tokenizer(&session.model)?;
    let answers = answers(&session.engine, tokenizer, &prompts, args.max_new_tokens, rows, &mut show);
    bar.finish_and_clear();
    session.tell_compilations(ui);
    let answers = answers.map_err(|error| session.explain(error))?;
    let results = Results::grade(questions, answers);

    if args.json {
        let settings = json!({
            "model": session.model.path().display().to_string(),
            "dtype": session.engine.dtype().to_string(),
            "source": source,
            "max_new_tokens": args.max_new_tokens,
            "batch": rows,
            "limit": args.limit,
        });
        return output::json(&results.report(settings));
    }
    results.print_table()?;
    if args.show_wrong || args.device.cache.verbose {
        results.print_wrong()?;
    }
    Ok(())
}

/// The answers, graded.
#[derive(Default)]
struct Results {
    by_task: BTreeMap<String, Tally>,
    total: Tally,
    wrong: Vec<Wrong>,
}

/// A question that was answered wrongly.
#[derive(Serialize)]
struct Wrong {
    task: String,
    message: String,
    expected: String,
    got: String,
}

impl Results {
    fn grade(questions: Vec<Question>, answers: Vec<String>) -> Self {
        let mut results = Self::default();
        for (question, got) in questions.into_iter().zip(answers) {
            let Question { task, asked: message, accepted, prompt: _ } = question;
            let correct = is_correct(&got, &accepted);
            results.total.count(correct);
            results.by_task.entry(task.clone()).or_default().count(correct);
            if !correct {
                let expected = accepted.into_iter().next().unwrap_or_default();
                results.wrong.push(Wrong { task, message, expected, got: got.trim().to_owned() });
            }
        }
        results
    }

    fn report(&self, settings: Value) -> Value {
        let tally = |tally: &Tally| {
            json!({
                "n": tally.questions,
                "correct": tally.correct,
                "accuracy": tally.accuracy(),
                "interval": tally.interval().map(|(low, high)| [low, high]),
            })
        };
        let tasks: Map<String, Value> =
            self.by_task.iter().map(|(task, found)| (task.clone(), tally(found))).collect();
        json!({ "tasks": tasks, TOTAL: tally(&self.total), "wrong": self.wrong, "settings": settings })
    }

    /// A line a task, and one for all of them.
    fn print_table(&self) -> io::Result<()> {
        let names = self.by_task.keys().map(|task| task.chars().count());
        let width = names.chain([TOTAL.len()]).max().unwrap_or_default();
        output::line(format_args!("{:width$}      n  correct  accuracy  95% interval", "task"))?;
        let total = (TOTAL, &self.total);
        let tallies = self.by_task.iter().map(|(task, tally)| (task.as_str(), tally)).chain([total]);
        for (task, tally) in tallies {
            let Tally { questions, correct } = *tally;
            let (Some(accuracy), Some((low, high))) = (tally.accuracy(), tally.interval()) else { continue };
            output::text(&format!(
                "{task:width$}  {questions:5}  {correct:7}  {:7.1}%  {:.1}% to {:.1}%\n",
                100.0 * accuracy,
                100.0 * low,
                100.0 * high,
            ))?;
        }
        Ok(())
    }

    fn print_wrong(&self) -> io::Result<()> {
        for Wrong { task, message, expected, got } in &self.wrong {
            output::text(&format!("\n{task}: {message}\n  expected: {expected}\n  got:      {got}\n"))?;
        }
        Ok(())
    }
}
