//! What a step is told: token ids and positions of each row.

use std::collections::HashMap;

use lapidary_models::program::{Input, ParamRole};

use super::batch::Step;
use super::placement::Placement;
use super::programs::CompiledProgram;
use super::sharded_buffer::ShardedBuffer;

/// The inputs of a step, by role.
pub(super) type Inputs = HashMap<Input, ShardedBuffer>;

/// Uploads the inputs of a step of rows whose caches hold `lengths` tokens. Rows that the program has beyond these
/// are idle: they take no token, and leave no trace in the cache.
pub(super) fn upload(
    placement: &Placement,
    program: &CompiledProgram,
    lengths: &[usize],
    step: &Step<'_>,
    pad: u32,
) -> lapidary_runtime::Result<Inputs> {
    let (rows, width) = (program.shape.batch, program.shape.tokens);
    let mut inputs = HashMap::new();
    for (param, sharding) in program.params() {
        let ParamRole::Input(input) = param.role else { continue };
        let values = match input {
            Input::Tokens => padded_rows(&step.tokens, rows, width, pad),
            Input::Targets => padded_rows(&step.targets, rows, width, pad),
            Input::Start => padded(lengths.iter().map(|&length| length as i32), rows, 0),
            Input::Count => padded(step.tokens.iter().map(|tokens| tokens.len() as i32), rows, 0),
            Input::Temperature
            | Input::TopK
            | Input::TopP
            | Input::MinP
            | Input::Seed
            | Input::RepetitionPenalty
            | Input::History
            | Input::Remaining
            | Input::StopAtEos => vec![0; param.ty.num_elements()],
        };
        let bytes = bytemuck::cast_slice(&values);
        inputs.insert(input, ShardedBuffer::from_host(placement, sharding, bytes, &param.ty)?);
    }
    Ok(inputs)
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
