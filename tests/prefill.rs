//! Prompts of many tokens: blocks of queries, rings in order, and pieces of odd sizes give one answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lapidary::graph::{DType, TensorType, nn, verify_program};
use lapidary::lower::{LowerOptions, ShardingRules, lower, target};
use lapidary::models::checkpoint::Checkpoint;
use lapidary::models::config::{AttentionKind, GemmaConfig};
use lapidary::models::dtype::StoredDtype;
use lapidary::models::program::{Input, KvCache, Output, ParamRole, Phase, ProgramShape, ResultRole, build};
use lapidary::runtime::{Argument, Buffer, Client, CompileOptions, CompilerFlag, ElementType, Program};
use support::{golden_dir, load, logits, max_difference};
use tempfile::TempDir;

const TOLERANCE: f32 = 1e-4;
/// Neither a multiple of a block, nor of a bucket.
const LENGTHS: [usize; 2] = [1301, 733];
const CONTEXT: usize = 1400;
/// Longer than a block, so that a later block sees part of what was there before the step.
const WINDOW: usize = 600;

/// One layer of each kind with random weights, and a window that some prompts are longer than.
fn model() -> (TempDir, Checkpoint) {
    let mut config = Checkpoint::open(&golden_dir("gemma2-windowed")).unwrap().config().clone();
    config.context = CONTEXT;
    config.sliding_window = Some(WINDOW);
    support::random(&config.with_layers(2).unwrap())
}

fn sequences(config: &GemmaConfig) -> Vec<Vec<u32>> {
    let token = |row: usize, at: usize| ((at * 131 + at * at * 7 + row * 57) % config.vocab_size) as u32;
    LENGTHS.iter().enumerate().map(|(row, &length)| (0..length).map(|at| token(row, at)).collect()).collect()
}

/// Logits of every position of rows that are read in steps of these sizes, each one program of its own. The engine
/// has no steps of more than a block.
fn in_steps(client: &Client, checkpoint: &Checkpoint, rows: &[Vec<u32>], steps: &[usize]) -> Vec<Vec<f32>> {
    let config = checkpoint.config();
    let device = &client.addressable_devices()[0];
    let upload = |element_type: ElementType, dims: &[usize], bytes: &[u8]| -> Buffer {
        let buffer = client.buffer_from_host(bytes, element_type, dims, device).unwrap();
        buffer.ready().unwrap().wait().unwrap();
        buffer
    };
    let words = |dims: &[usize], values: &dyn Fn(usize) -> i32| -> Buffer {
        let bytes: Vec<u8> = (0..dims.iter().product()).flat_map(|i| values(i).to_ne_bytes()).collect();
        upload(ElementType::S32, dims, &bytes)
    };

    let mut state: Vec<Buffer> = Vec::new();
    let mut logits = vec![Vec::new(); rows.len()];
    let mut start = 0;
    for &tokens in steps {
        let phase = Phase::Score { logits: true };
        let shape = ProgramShape {
            phase,
            batch: rows.len(),
            tokens,
            capacity: CONTEXT,
            dtype: DType::F32,
            kv_cache: KvCache::Dense,
        };
        let program = build(config, &shape).unwrap();
        let rules = ShardingRules::none();
        let options = LowerOptions { target: &target::CPU, mesh: None, rules: &rules };
        let text = lower(verify_program(&program.module).unwrap(), &options).unwrap();
        let flags = target::CPU.compiler_flags.iter();
        let options = flags.fold(CompileOptions::on_device(device.id()), |options, &(name, value)| {
            options.flag(name, CompilerFlag::Bool(value))
        });
        let executable = client.compile(&Program::stablehlo(&text), &options).unwrap();

        let count = |row: usize| rows[row].len().saturating_sub(start).min(tokens);
        let mut old = std::mem::take(&mut state).into_iter();
        let arguments = program.signature.params.iter().map(|param| -> Argument<'_> {
            let TensorType { dims, .. } = &param.ty;
            let buffer = match &param.role {
                ParamRole::Weight(spec) => {
                    let tensor = checkpoint.tensor(&spec.name).unwrap();
                    let mut bytes = vec![0; 4 * tensor.element_count()];
                    tensor.convert_into(StoredDtype::F32, &mut bytes).unwrap();
                    upload(ElementType::F32, dims, &bytes)
                }
                ParamRole::State { .. } => old
                    .next()
                    .unwrap_or_else(|| upload(ElementType::F32, dims, &vec![0; param.ty.byte_size()])),
                ParamRole::Input(Input::Tokens) => words(dims, &|i| {
                    rows[i / tokens].get(start + i % tokens).map_or(0, |&token| token as i32)
                }),
                ParamRole::Input(Input::Start) => words(dims, &|row| rows[row].len().min(start) as i32),
                ParamRole::Input(Input::Count) => words(dims, &|row| count(row) as i32),
                ParamRole::Input(_) => words(dims, &|_| 0),
            };
            buffer.into()
        });
        let arguments = arguments.collect();
        for (result, spec) in executable.run(arguments).unwrap().into_iter().zip(&program.signature.results) {
            match spec.role {
                ResultRole::State { .. } => state.push(result),
                ResultRole::Output(Output::Logits) => {
                    let values: Vec<f32> = result.to_vec().unwrap();
                    let vocab = *spec.ty.dims.last().unwrap();
                    for (row, of_row) in values.chunks(tokens * vocab).enumerate() {
                        logits[row].extend_from_slice(&of_row[..count(row) * vocab]);
                    }
                }
                ResultRole::Output(_) => {}
            }
        }
        start += tokens;
    }
    logits
}

#[test]
fn steps_of_several_blocks_give_the_engines_logits() {
    let Some(client) = support::cpu() else { return };
    let (directory, checkpoint) = model();
    let rows = sequences(checkpoint.config());
    let engine = load(&client, &directory.path().join("model"), None);
    let chunked = logits(&engine, &rows);
    // One step of three blocks; steps that find a ring half full, full, and wrapped.
    for steps in [&[1301][..], &[300, 1001], &[650, 651], &[100, 513, 688]] {
        assert!(steps.iter().any(|&tokens| tokens > nn::QUERY_BLOCK));
        for (row, (ours, theirs)) in
            in_steps(&client, &checkpoint, &rows, steps).iter().zip(&chunked).enumerate()
        {
            let difference = max_difference(ours, theirs);
            println!("steps of {steps:?}, row {row}: {difference:.1e}");
            assert!(difference <= TOLERANCE, "steps of {steps:?}, row {row}: {difference}");
        }
    }
}

/// Through the engine, whose last chunk is padded to a bucket: both rows in pieces of the same odd sizes.
#[test]
fn logits_do_not_depend_on_the_pieces_of_a_prompt() {
    let Some(client) = support::cpu() else { return };
    let (directory, checkpoint) = model();
    assert!(checkpoint.config().layer_kinds.contains(&AttentionKind::Local { window: WINDOW }));
    let rows = sequences(checkpoint.config());
    let engine = load(&client, &directory.path().join("model"), None);
    let vocab = engine.config().live_vocab_size();
    let scored = logits(&engine, &rows);
    let mut batch = engine.batch(rows.len(), CONTEXT).unwrap();
    let mut start = 0;
    for size in [1, 37, 563, 100, 599, 1] {
        let piece = |row: &Vec<u32>| start.min(row.len())..(start + size).min(row.len());
        let pieces: Vec<&[u32]> = rows.iter().map(|row| &row[piece(row)]).collect();
        let last = batch.prefill(&pieces).unwrap();
        start += size;
        for (row, last) in last.iter().enumerate().filter(|(row, _)| !pieces[*row].is_empty()) {
            let at = batch.length(row) - 1;
            let difference = max_difference(last, &scored[row][at * vocab..][..vocab]);
            assert!(difference <= TOLERANCE, "row {row} at {at}: {difference}");
        }
    }
    assert_eq!([batch.length(0), batch.length(1)], LENGTHS);
}
