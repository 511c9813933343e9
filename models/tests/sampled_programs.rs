//! Programs that choose tokens, through the interpreter: against logits and a host that chooses, one step against many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/golden.rs"]
mod golden;
mod interpreted;
#[path = "../../graph/tests/support/sampling_reference.rs"]
mod sampling_reference;

use golden::{Golden, golden_dir};
use interpreted::{RowChoice, Rows};
use lapidary_models::checkpoint::Checkpoint;
use lapidary_models::program::{Output, Phase, SamplerShape};
use sampling_reference::Choice;

const CASE: &str = "gemma2-windowed";
const CAPACITY: usize = 64;
const WIDTH: usize = 16;
const NEW: usize = 9;
const TOP: usize = 3;

/// Greedy, drawing, and drawing with every filter and a penalty; of different lengths, one beyond the window.
fn rows() -> Vec<RowChoice> {
    let tokens = &Golden::open(CASE).sequences.iter().max_by_key(|s| s.tokens.len()).unwrap().tokens.clone();
    let row = |temperature, seed, history: &[u32]| RowChoice {
        temperature,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed,
        repetition_penalty: 1.0,
        history: history.to_vec(),
        remaining: 0,
        stop_at_eos: false,
    };
    let filtered = RowChoice {
        top_k: 50,
        top_p: 0.9,
        min_p: 0.01,
        repetition_penalty: 1.7,
        ..row(1.5, 77, &tokens[3..8])
    };
    vec![row(0.0, 0, &tokens[..13]), row(1.0, 1 << 40, &tokens[..3]), filtered]
}

/// What a row goes on with, and the log-probability of each token.
type Expected = Vec<(Vec<u32>, Vec<f64>)>;

/// Logits from the programs that answer them, tokens from the host.
fn expected(checkpoint: &Checkpoint) -> Expected {
    let mut model = Rows::new(checkpoint, 3, CAPACITY);
    let vocab = checkpoint.config().live_vocab_size();
    let mut rows = rows();
    let mut answers: Expected = vec![Default::default(); rows.len()];
    let mut next: Vec<Vec<u32>> = rows.iter().map(|row| row.history.clone()).collect();
    for step in 0..NEW {
        let tokens: Vec<&[u32]> = next.iter().map(Vec::as_slice).collect();
        let (phase, width) = if step == 0 { (Phase::Prefill, WIDTH) } else { (Phase::Decode, 1) };
        let outputs = model.step(phase, width, &tokens);
        for (index, (row, logits)) in rows.iter_mut().zip(outputs[&Output::Logits].chunks(vocab)).enumerate()
        {
            let logits: Vec<f32> = logits.iter().map(|&logit| logit as f32).collect();
            let (token, logprob) = choose(row, &logits, model.length(index));
            row.history.push(token);
            next[index] = vec![token];
            answers[index].0.push(token);
            answers[index].1.push(logprob);
        }
    }
    answers
}

fn choose(row: &RowChoice, logits: &[f32], position: usize) -> (u32, f64) {
    let RowChoice {
        temperature, top_k, top_p, min_p, seed, repetition_penalty: penalty, ref history, ..
    } = *row;
    let penalised = |(token, &logit): (usize, &f32)| match history.contains(&(token as u32)) {
        true if logit > 0.0 => logit / penalty,
        true => logit * penalty,
        false => logit,
    };
    let penalised: Vec<f32> = logits.iter().enumerate().map(penalised).collect();
    let choice = Choice { temperature, top_k, top_p, min_p, seed, position: position as i32 };
    let token = choice.choose(&penalised);
    let total = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
    (token as u32, f64::from(logits[token]) - total)
}

/// A generation by the programs that choose: what each row got, and the rows afterwards.
/// `eos`, if given, is the token that ends the model's sequences.
fn generate(mut model: Rows, steps: usize, most: [usize; 3], eos: Option<u32>) -> (Expected, Rows) {
    let sampler = SamplerShape { top_logprobs: TOP, repetition_penalty: true };
    let mut rows = rows();
    let mut answers: Expected = vec![Default::default(); rows.len()];
    let mut going = [true; 3];
    let mut next: Vec<Vec<u32>> = rows.iter().map(|row| row.history.clone()).collect();
    for dispatch in 0.. {
        for (index, row) in rows.iter_mut().enumerate() {
            row.remaining = (most[index] - answers[index].0.len()) as i32;
            row.stop_at_eos = eos.is_some();
        }
        let tokens: Vec<&[u32]> = next.iter().map(Vec::as_slice).collect();
        let (phase, width) = if dispatch == 0 {
            (Phase::SampledPrefill(sampler), WIDTH)
        } else {
            (Phase::SampledDecode { steps, sampler }, 1)
        };
        let outputs = model.sample(phase, width, &tokens, &rows);
        let steps = phase.steps();
        for index in 0..rows.len() {
            let count = outputs[&Output::Counts][index] as usize;
            assert_eq!(count > 0, going[index], "row {index} of dispatch {dispatch}");
            assert_eq!(outputs[&Output::NonFinite][index], f64::from(i32::MAX));
            let all = &outputs[&Output::Tokens][index * steps..][..steps];
            assert!(all.iter().enumerate().all(|(step, &token)| (token >= 0.0) == (step < count)), "{all:?}");
            let logprobs = &outputs[&Output::Logprobs][index * steps..][..count];
            for (step, (&token, &logprob)) in all[..count].iter().zip(logprobs).enumerate() {
                let top = (index * steps + step) * TOP..(index * steps + step + 1) * TOP;
                check_top(
                    &outputs[&Output::TopTokens][top.clone()],
                    &outputs[&Output::TopLogprobs][top],
                    token,
                    logprob,
                );
            }
            let tokens: Vec<u32> = all[..count].iter().map(|&token| token as u32).collect();
            rows[index].history.extend(&tokens);
            answers[index].0.extend(&tokens);
            answers[index].1.extend(logprobs);
            let ended = eos.is_some() && tokens.last() == eos.as_ref();
            going[index] &= answers[index].0.len() < most[index] && !ended;
            next[index] =
                tokens.last().filter(|_| going[index]).map(|&token| vec![token]).unwrap_or_default();
        }
        if going == [false; 3] {
            break;
        }
    }
    (answers, model)
}

/// The likeliest tokens come in order, and none is less likely than the chosen one unless that is among them.
fn check_top(tokens: &[f64], logprobs: &[f64], token: f64, logprob: f64) {
    assert!(logprobs.windows(2).all(|pair| pair[0] >= pair[1]), "{logprobs:?}");
    match tokens.iter().position(|&top| top == token) {
        Some(at) => assert!((logprobs[at] - logprob).abs() < 1e-6, "{logprobs:?}, {logprob}"),
        None => assert!(logprobs[TOP - 1] >= logprob, "{logprobs:?}, {logprob}"),
    }
}

#[track_caller]
fn assert_same(got: &Expected, expected: &Expected) {
    for (row, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.0, expected.0[..got.0.len()], "row {row}");
        for (got, expected) in got.1.iter().zip(&expected.1) {
            assert!((got - expected).abs() < 1e-4, "row {row}: {got}, expected {expected}");
        }
    }
}

#[test]
fn the_device_chooses_what_the_host_would_however_many_steps_a_dispatch() {
    let checkpoint = Checkpoint::open(&golden_dir(CASE)).unwrap();
    let expected = expected(&checkpoint);
    let all = [NEW; 3];
    let (one, after_one) = generate(Rows::new(&checkpoint, 3, CAPACITY), 1, all, None);
    assert_same(&one, &expected);
    assert!(one.iter().all(|(tokens, _)| tokens.len() == NEW));
    let (four, after_four) = generate(Rows::new(&checkpoint, 3, CAPACITY), 4, all, None);
    assert_same(&four, &expected);
    assert!((0..3).all(|row| after_one.length(row) == after_four.length(row)));
    assert!(after_one.state() == after_four.state(), "the caches are the same");
}

#[test]
fn rows_end_each_by_itself_and_leave_no_trace_after() {
    let checkpoint = Checkpoint::open(&golden_dir(CASE)).unwrap();
    let expected = expected(&checkpoint);
    let most = [NEW, 3, 1];
    let (tokens, _) = generate(Rows::new(&checkpoint, 3, CAPACITY), 4, most, None);
    assert_same(&tokens, &expected);
    assert_eq!(tokens.iter().map(|(tokens, _)| tokens.len()).collect::<Vec<_>>(), most);

    // The third token of the second row ends sequences, where they are not to go on.
    let eos = expected[1].0[2];
    let ends = |row: usize| expected[row].0.iter().position(|&token| token == eos).map_or(NEW, |at| at + 1);
    let (tokens, ended) =
        generate(Rows::new(&checkpoint, 3, CAPACITY).ending_with(eos), 8, [NEW; 3], Some(eos));
    assert_same(&tokens, &expected);
    assert_eq!(
        tokens.iter().map(|(tokens, _)| tokens.len()).collect::<Vec<_>>(),
        [ends(0), ends(1), ends(2)]
    );
    assert_eq!(ended.length(1), 3 + ends(1) - 1, "the last token is not taken");
}
