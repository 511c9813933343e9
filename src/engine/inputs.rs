//! What a step is told: token ids and positions of each row.

use std::collections::HashMap;

use lapidary_models::program::{Input, ParamRole, ProgramShape};

use super::Sampling;
use super::batch::Step;
use super::placement::Placement;
use super::programs::CompiledProgram;
use super::sharded_buffer::ShardedBuffer;

/// The inputs of a step, by role.
pub(super) type Inputs = HashMap<Input, ShardedBuffer>;

/// How the tokens of a row are chosen, and how many.
#[derive(Clone, Copy)]
pub(super) struct RowChoice<'t> {
    pub(super) sampling: Sampling,
    /// All tokens of the row, those of the step included; only a repetition penalty asks for them.
    pub(super) history: &'t [u32],
    /// Most tokens to choose in the dispatch.
    pub(super) remaining: usize,
    /// Whether a token that ends the sequence ends the row.
    pub(super) stop_at_eos: bool,
}

/// Uploads the inputs of a step of rows whose caches hold `lengths` tokens. Rows that the program has beyond these
/// are idle: they take no token, and leave no trace in the cache.
pub(super) fn upload(
    placement: &Placement,
    program: &CompiledProgram,
    lengths: &[usize],
    step: &Step<'_>,
    pad: u32,
) -> lapidary_runtime::Result<Inputs> {
    let mut inputs = HashMap::new();
    for (param, sharding) in program.params() {
        let ParamRole::Input(input) = param.role else { continue };
        let bytes = bytes(input, program.shape, lengths, step, pad);
        inputs.insert(input, ShardedBuffer::from_host(placement, sharding, &bytes, &param.ty)?);
    }
    Ok(inputs)
}

/// The elements of an input in memory.
fn bytes(input: Input, shape: ProgramShape, lengths: &[usize], step: &Step<'_>, pad: u32) -> Vec<u8> {
    let (rows, width) = (shape.batch, shape.tokens);
    let ints = |values: Vec<i32>| bytemuck::cast_slice(&values).to_vec();
    let choices = || step.choices.iter().copied().chain(std::iter::repeat(RowChoice::IDLE)).take(rows);
    let floats = |get: fn(&Sampling) -> f32| {
        let values: Vec<f32> = choices().map(|choice| get(&choice.sampling)).collect();
        bytemuck::cast_slice(&values).to_vec()
    };
    match input {
        Input::Tokens => ints(padded_rows(&step.tokens, rows, width, pad)),
        Input::Targets => ints(padded_rows(&step.targets, rows, width, pad)),
        Input::Start => ints(padded(lengths.iter().copied().map(saturated), rows, 0)),
        Input::Count => ints(padded(step.tokens.iter().map(|tokens| saturated(tokens.len())), rows, 0)),
        Input::Temperature => floats(|sampling| sampling.temperature),
        Input::TopK => ints(choices().map(|choice| saturated(choice.sampling.top_k)).collect()),
        Input::TopP => floats(|sampling| sampling.top_p),
        Input::MinP => floats(|sampling| sampling.min_p),
        Input::Seed => choices().flat_map(|choice| choice.sampling.seed.to_le_bytes()).collect(),
        Input::RepetitionPenalty => floats(|sampling| sampling.repetition_penalty),
        Input::History => {
            let histories: Vec<&[u32]> = choices().map(|choice| choice.history).collect();
            ints(padded_rows(&histories, rows, shape.capacity, pad))
        }
        Input::Remaining => ints(choices().map(|choice| saturated(choice.remaining)).collect()),
        Input::StopAtEos => choices().map(|choice| u8::from(choice.stop_at_eos)).collect(),
    }
}

impl RowChoice<'_> {
    /// Of a row without tokens, for which nothing is chosen.
    pub(super) const IDLE: Self =
        Self { sampling: Sampling::GREEDY, history: &[], remaining: 0, stop_at_eos: false };
}

/// As s32, which holds every count that a program can be asked for; of greater ones no program sees a difference.
fn saturated(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// `count` rows of `width` ids, padded at the end of each and of all.
fn padded_rows(rows: &[&[u32]], count: usize, width: usize, pad: u32) -> Vec<i32> {
    let padding: &[u32] = &[];
    let rows = rows.iter().copied().chain(std::iter::repeat(padding)).take(count);
    rows.flat_map(|row| padded(row.iter().map(|&id| id as i32), width, pad as i32)).collect()
}

/// The first `count` values, padded at the end.
fn padded(values: impl Iterator<Item = i32>, count: usize, pad: i32) -> Vec<i32> {
    values.chain(std::iter::repeat(pad)).take(count).collect()
}
