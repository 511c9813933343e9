//! Generations of the engine, whose programs choose the tokens.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use lapidary::engine::{
    Engine, FinishReason, GenerateOptions, Generation, Piece, Placement, PrefixCache, Sampling,
};
use lapidary::graph::DType;
use lapidary::model::Model;
use lapidary::runtime::Client;

use crate::cpu_devices;

/// The built-in model, which has a tokenizer and was trained, so that its answers end by themselves.
fn pebble(client: &Client) -> (Model, Engine) {
    let model = Model::builtin().unwrap();
    let placement = Placement::single(client, &client.addressable_devices()[0]);
    let go_on = &mut |_| ControlFlow::Continue(());
    let engine = Engine::load(&placement, model.checkpoint(), Some(DType::F32), go_on);
    (model, engine.unwrap())
}

fn go_on(_: Piece<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn generate(
    (model, engine): &(Model, Engine),
    prompts: &[Vec<u32>],
    options: &GenerateOptions,
) -> Vec<Generation> {
    engine.generate(prompts, model.tokenizer_if_any(), options, &mut go_on).unwrap().0
}

fn prompts(model: &Model) -> Vec<Vec<u32>> {
    let tokenizer = model.tokenizer_if_any().unwrap();
    let texts = ["Once upon a time there was a", "The opposite of hot is", "One day, a little"];
    texts.iter().map(|text| tokenizer.encode(text).unwrap()).collect()
}

fn steps(steps: usize) -> Option<NonZeroUsize> {
    NonZeroUsize::new(steps)
}

/// Greedy, drawing, and drawing with everything.
fn samplings() -> [Sampling; 3] {
    let draw = Sampling { temperature: 0.9, seed: 11, ..Sampling::GREEDY };
    let full = Sampling { top_k: 30, top_p: 0.9, min_p: 0.02, repetition_penalty: 1.3, ..draw };
    [Sampling::GREEDY, draw, full]
}

#[test]
fn tokens_depend_neither_on_steps_a_dispatch_nor_on_the_batch() {
    let Some(client) = cpu_devices(1) else { return };
    let pebble = pebble(&client);
    let prompts = prompts(&pebble.0);
    for sampling in samplings() {
        let options = |per_dispatch| GenerateOptions {
            max_new_tokens: 24,
            sampling,
            steps_per_dispatch: steps(per_dispatch),
            ..GenerateOptions::default()
        };
        let one = generate(&pebble, &prompts, &options(1));
        for per_dispatch in [3, 8] {
            assert_eq!(
                generate(&pebble, &prompts, &options(per_dispatch)),
                one,
                "{sampling:?}, {per_dispatch}"
            );
        }
        let alone = generate(&pebble, &prompts[1..2], &options(3));
        assert_eq!(alone, one[1..2], "{sampling:?}");
        let two_at_a_time = GenerateOptions { batch: NonZeroUsize::new(2), ..options(8) };
        assert_eq!(generate(&pebble, &prompts, &two_at_a_time), one, "{sampling:?}");
    }
}

#[test]
fn a_penalty_counts_prompt_and_answer() {
    let Some(client) = cpu_devices(1) else { return };
    let pebble = pebble(&client);
    let prompts = prompts(&pebble.0);
    for per_dispatch in [1, 5] {
        let sampling = Sampling { repetition_penalty: 1e9, ..Sampling::GREEDY };
        let options = GenerateOptions {
            max_new_tokens: 20,
            sampling,
            ignore_eos: true,
            steps_per_dispatch: steps(per_dispatch),
            ..GenerateOptions::default()
        };
        for (prompt, answer) in prompts.iter().zip(generate(&pebble, &prompts, &options)) {
            let mut seen = prompt.clone();
            for token in answer.token_ids {
                assert!(!seen.contains(&token), "{token} again, with {per_dispatch} steps a dispatch");
                seen.push(token);
            }
        }
    }
}

#[test]
fn logprobs_are_the_likelihoods_that_scoring_finds() {
    let Some(client) = cpu_devices(1) else { return };
    let pebble = pebble(&client);
    let prompts = prompts(&pebble.0);
    // Drawn at a temperature, but told by the model's own distribution.
    for (sampling, per_dispatch) in samplings().into_iter().zip([4, 1, 4]) {
        let options = GenerateOptions {
            max_new_tokens: 10,
            sampling,
            ignore_eos: true,
            logprobs: Some(3),
            steps_per_dispatch: steps(per_dispatch),
            ..GenerateOptions::default()
        };
        let answers = generate(&pebble, &prompts, &options);
        let sequences: Vec<Vec<u32>> = prompts
            .iter()
            .zip(&answers)
            .map(|(prompt, answer)| [&prompt[..], &answer.token_ids].concat())
            .collect();
        let scores = pebble.1.score(&sequences, None).unwrap();
        for ((prompt, answer), score) in prompts.iter().zip(&answers).zip(scores) {
            let choices = answer.logprobs.as_ref().unwrap();
            assert_eq!(choices.iter().map(|choice| choice.token).collect::<Vec<_>>(), answer.token_ids);
            for (choice, nll) in choices.iter().zip(&score.nll[prompt.len() - 1..]) {
                assert!((choice.logprob + nll).abs() < 1e-3, "{choice:?}, scored {nll}");
                assert_eq!(choice.top.len(), 3);
                assert!(choice.top.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{choice:?}");
                let listed = choice.top.iter().find(|(token, _)| *token == choice.token);
                assert!(
                    listed.is_none_or(|(_, logprob)| (logprob - choice.logprob).abs() < 1e-5),
                    "{choice:?}"
                );
                assert!(choice.top[0].1 >= choice.logprob - 1e-5, "{choice:?}");
            }
        }
        let greedy = sampling == Sampling::GREEDY;
        assert!(
            !greedy
                || answers.iter().flat_map(|a| a.logprobs.as_ref().unwrap()).all(|c| c.top[0].0 == c.token)
        );
    }
    let none =
        generate(&pebble, &prompts, &GenerateOptions { max_new_tokens: 2, ..GenerateOptions::default() });
    assert!(none.iter().all(|answer| answer.logprobs.is_none()));
}

#[test]
fn what_is_computed_past_a_stop_string_leaves_no_trace() {
    let Some(client) = cpu_devices(1) else { return };
    let pebble = pebble(&client);
    let prompts = prompts(&pebble.0);
    let (model, engine) = &pebble;
    let plain = GenerateOptions { max_new_tokens: 24, ..GenerateOptions::default() };
    let whole = generate(&pebble, &prompts[..1], &plain).remove(0);
    // A word in the middle of the answer.
    let stop = whole.text.split_whitespace().nth(4).unwrap().to_string();
    let stopping = |per_dispatch| GenerateOptions {
        stop: vec![stop.clone()],
        steps_per_dispatch: steps(per_dispatch),
        ..plain.clone()
    };
    let expected = generate(&pebble, &prompts[..1], &stopping(1));
    assert_eq!(expected[0].finish_reason, FinishReason::Stop);
    assert!(expected[0].token_ids.len() < whole.token_ids.len());
    for per_dispatch in [4, 7, 24] {
        assert_eq!(generate(&pebble, &prompts[..1], &stopping(per_dispatch)), expected, "{per_dispatch}");
        // The next turn of a conversation goes on from what was kept.
        let mut cache = PrefixCache::new(engine);
        let tokenizer = model.tokenizer_if_any();
        let options = stopping(per_dispatch);
        let (first, _) = cache.generate(&prompts[0], tokenizer, &options, &mut go_on).unwrap();
        assert_eq!(first, expected[0]);
        let next = [&prompts[0], &first.token_ids[..], &prompts[1][1..]].concat();
        let (second, timings) = cache.generate(&next, tokenizer, &options, &mut go_on).unwrap();
        assert_eq!(timings.reused_tokens, prompts[0].len() + first.token_ids.len() - 1);
        assert_eq!(second, generate(&pebble, &[next], &stopping(1))[0]);
    }
}

#[test]
fn a_caller_who_has_enough_gets_what_came_so_far() {
    let Some(client) = cpu_devices(1) else { return };
    let (model, engine) = pebble(&client);
    let prompts = prompts(&model);
    let options =
        GenerateOptions { max_new_tokens: 20, steps_per_dispatch: steps(6), ..GenerateOptions::default() };
    let mut seen = Vec::new();
    let mut third = |piece: Piece<'_>| {
        seen.extend(piece.token);
        if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (answers, _) =
        engine.generate(&prompts[..1], model.tokenizer_if_any(), &options, &mut third).unwrap();
    assert_eq!((answers[0].finish_reason, &answers[0].token_ids), (FinishReason::Cancelled, &seen));
    assert_eq!(seen.len(), 3);
}
