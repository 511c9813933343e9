//! Rows are slots: one takes another sequence while its neighbours go on, and every answer is the one that it would be
//! alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use lapidary::engine::{
    Engine, FinishReason, GenerateOptions, Generation, Piece, Placement, Sampling, Timings,
};
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::model::Model;
use lapidary::models::checkpoint::Checkpoint;
use support::{max_difference, small};

/// Gemma 2 with a window of 7 tokens.
fn engine() -> Option<Engine> {
    let client = support::cpu()?;
    Some(on(&Placement::single(&client, &client.devices()[0]), &small("gemma2-windowed").1))
}

fn on(placement: &Placement, checkpoint: &Checkpoint) -> Engine {
    support::engine(placement, checkpoint, Some(DType::F32))
}

/// Prompts of lengths below, at and beyond the window, one of them of several chunks' worth of programs.
fn prompts() -> Vec<Vec<u32>> {
    let prompt = |(row, length): (u32, u32)| (0..length).map(|i| 2 + (row * 31 + i * 17) % 200).collect();
    (0..).zip([5, 40, 1, 7, 23, 90, 3, 12]).map(prompt).collect()
}

fn options(sampling: Sampling, max_new_tokens: usize, batch: usize) -> GenerateOptions {
    let batch = NonZeroUsize::new(batch);
    GenerateOptions { max_new_tokens, sampling, batch, ..GenerateOptions::default() }
}

fn generate(engine: &Engine, prompts: &[Vec<u32>], options: &GenerateOptions) -> (Vec<Generation>, Timings) {
    engine.generate(prompts, None, options, &mut |_| ControlFlow::Continue(())).unwrap()
}

const SAMPLED: Sampling =
    Sampling { temperature: 1.0, top_k: 0, top_p: 0.95, min_p: 0.0, repetition_penalty: 1.1, seed: 7 };

#[test]
fn a_row_takes_another_sequence_while_its_neighbour_goes_on() {
    let Some(engine) = engine() else { return };
    let (first, second, going) = (&prompts()[1], &prompts()[4], &prompts()[3]);
    let alone = |sequence: &[u32], tokens: &[u32]| {
        let mut batch = engine.batch(1, 128).unwrap();
        let mut logits = batch.prefill(&[sequence]).unwrap();
        logits.extend(tokens.iter().map(|&token| batch.decode(&[Some(token)]).unwrap().remove(0)));
        logits
    };
    let mut batch = engine.batch(2, 128).unwrap();
    let [mut row_0, mut row_1]: [Vec<Vec<f32>>; 2] = batch
        .prefill(&[first, going])
        .unwrap()
        .into_iter()
        .map(|l| vec![l])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let mut step = |batch: &mut lapidary::engine::Batch<'_>, tokens: [Option<u32>; 2]| {
        let mut logits = batch.decode(&tokens).unwrap().into_iter();
        row_0.extend(logits.next().filter(|l| !l.is_empty()));
        row_1.extend(logits.next().filter(|l| !l.is_empty()));
    };
    step(&mut batch, [Some(3), Some(4)]);
    step(&mut batch, [Some(5), Some(6)]);
    step(&mut batch, [None, Some(7)]);
    batch.reset_row(0);
    assert_eq!((batch.length(0), batch.length(1)), (0, going.len() + 3));
    let mut other = batch.prefill(&[second, &[]]).unwrap();
    assert!(other.remove(1).is_empty());
    step(&mut batch, [None, Some(8)]);
    let mut last = batch.decode(&[Some(9), Some(10)]).unwrap();
    row_1.push(last.remove(1));
    other.push(last.remove(0));

    let expected = [
        (row_0, alone(first, &[3, 5])),
        (row_1, alone(going, &[4, 6, 7, 8, 10])),
        (other, alone(second, &[9])),
    ];
    for (found, expected) in expected {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(max_difference(found, expected) < 1e-4);
        }
    }
    batch.reset_row(17);
    assert_eq!(batch.rows(), 2, "a row that there is not is left alone");
}

/// Answers of different lengths, as end-of-sequence tokens and, with limits of their own, the context end them.
#[test]
fn every_answer_is_that_of_its_prompt_alone() {
    let Some(engine) = engine() else { return };
    let prompts = prompts();
    for (sampling, max_new_tokens) in [(Sampling::default(), 20), (SAMPLED, 60)] {
        let alone: Vec<Generation> = prompts
            .iter()
            .map(|prompt| {
                generate(&engine, std::slice::from_ref(prompt), &options(sampling, max_new_tokens, 1))
            })
            .map(|(mut generations, _)| generations.remove(0))
            .collect();
        for batch in [1, 2, 3, 8, 20] {
            let (generations, timings) =
                generate(&engine, &prompts, &options(sampling, max_new_tokens, batch));
            assert_eq!(generations, alone, "{batch} at a time");
            let read: usize = prompts.iter().map(Vec::len).sum();
            assert_eq!((timings.prefill_tokens, timings.reused_tokens), (read, 0));
            // The first token of each answer comes with its prompt.
            let new: usize = generations.iter().map(|generation| generation.token_ids.len() - 1).sum();
            assert_eq!(timings.decode_tokens, new);
        }
    }
}

/// Stories end by themselves, so that rows become free one by one.
#[test]
fn pebbles_stories_do_not_depend_on_their_neighbours() {
    let Some(client) = support::cpu() else { return };
    let model = Model::builtin().unwrap();
    let engine = on(&Placement::single(&client, &client.devices()[0]), model.checkpoint());
    let tokenizer = model.tokenizer().unwrap();
    let questions =
        ["Where is the red ball?", "Hello!", "Tell me a story about a fox.", "Who are you?", "Good night."];
    let prompt = |question: &&str| {
        use lapidary::models::chat::{Message, Role};
        model.encode_chat(tokenizer, &[Message::new(Role::User, *question)]).unwrap()
    };
    let prompts: Vec<Vec<u32>> = questions.iter().map(prompt).collect();
    let answer = |prompts: &[Vec<u32>], batch| {
        let options = options(Sampling::default(), 60, batch);
        let mut heard = vec![String::new(); prompts.len()];
        let mut hear = |piece: Piece<'_>| {
            heard[piece.row].push_str(piece.text);
            ControlFlow::Continue(())
        };
        let (generations, timings) = engine.generate(prompts, Some(tokenizer), &options, &mut hear).unwrap();
        let texts: Vec<&String> = generations.iter().map(|generation| &generation.text).collect();
        assert_eq!(texts, heard.iter().collect::<Vec<_>>(), "pieces name their prompts");
        (generations, timings)
    };
    let alone: Vec<Generation> =
        prompts.iter().map(|prompt| answer(std::slice::from_ref(prompt), 1).0.remove(0)).collect();
    let lengths: Vec<usize> = alone.iter().map(|generation| generation.token_ids.len()).collect();
    assert!(alone.iter().any(|generation| generation.finish_reason == FinishReason::Eos), "{lengths:?}");
    assert!(lengths.iter().any(|length| length != &lengths[0]), "{lengths:?}");
    let (together, _) = answer(&prompts, 2);
    assert_eq!(together, alone);
}

#[test]
fn rows_are_reused_on_a_mesh() {
    let Some(client) = support::cpu_devices(4) else { return };
    let (_directory, checkpoint) = small("gemma2-windowed");
    let prompts = prompts();
    let options = options(SAMPLED, 12, 3);
    let single = on(&Placement::single(&client, &client.devices()[0]), &checkpoint);
    let (expected, _) = generate(&single, &prompts, &options);
    // Three rows are padded to four.
    let mesh =
        Placement::new(&client, "data=2,model=2".parse().unwrap(), ShardingRules::transformer()).unwrap();
    let (found, _) = generate(&on(&mesh, &checkpoint), &prompts, &options);
    assert_eq!(found, expected);
}

#[test]
fn what_is_prepared_serves_the_prompts_that_wait() {
    let Some(engine) = engine() else { return };
    let prompts = prompts();
    let options = options(Sampling::default(), 8, 2);
    engine.prepare_generation(&prompts, &options).unwrap();
    engine.settle();
    let prepared = engine.compilations().len();
    generate(&engine, &prompts, &options);
    assert_eq!(engine.compilations().len(), prepared, "{:?}", engine.compilations());
}

#[test]
fn enough_is_enough_for_those_that_wait_too() {
    let Some(engine) = engine() else { return };
    let prompts = prompts();
    let options = GenerateOptions { ignore_eos: true, ..options(Sampling::default(), 30, 2) };
    let mut left = 5;
    let mut until = |_: Piece<'_>| {
        left -= 1;
        if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let (generations, _) = engine.generate(&prompts, None, &options, &mut until).unwrap();
    assert_eq!(generations.len(), prompts.len());
    let tokens: Vec<usize> = generations.iter().map(|generation| generation.token_ids.len()).collect();
    // As many as were told of.
    assert_eq!(tokens, [3, 2, 0, 0, 0, 0, 0, 0]);
    assert!(generations.iter().all(|generation| generation.finish_reason == FinishReason::Cancelled));
}
