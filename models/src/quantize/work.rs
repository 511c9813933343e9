//! From a weight to the tensors that it becomes, some rows at a time.

use std::num::NonZeroUsize;

use super::QuantizeError;
use super::errors::Errors;
use super::levels::Bits;
use super::recipe::Step;
use super::rows::{EncodedRows, Encoder};
use super::writer::Writer;
use crate::checkpoint::TensorView;
use crate::convert::decode;
use crate::dtype::{StoredDtype, TensorDtype};
use crate::encoding::{Encoding, Groups};
use crate::progress::Meter;
use crate::weights::WeightSpec;
use crate::writing::Entry;

/// Weights dealt with at a time: all of a tensor that is ever in memory, but for its scales.
const BLOCK: usize = 1 << 20;

/// The tensors that a weight of elements `dtype` becomes: its codes (or itself), scales, shape.
pub(super) fn entries(step: &Step, dtype: StoredDtype) -> Vec<Entry> {
    let Step { spec, encoding } = step;
    let entry = |name: String, dtype: TensorDtype, dims: &[usize]| Entry { name, dtype, dims: dims.to_vec() };
    let (outputs, inputs) = matrix(spec);
    let scales =
        |groups: Groups| entry(spec.scales_name(), groups.scales.into(), &[outputs, inputs / groups.size]);
    match *encoding {
        Encoding::Dense => vec![entry(spec.name.clone(), dtype.into(), &spec.dims)],
        Encoding::Int8(groups) => {
            vec![entry(spec.name.clone(), TensorDtype::I8, &[outputs, inputs]), scales(groups)]
        }
        Encoding::Int4(groups) => vec![
            entry(spec.packed_name(), TensorDtype::I32, &[outputs, inputs / 8]),
            scales(groups),
            entry(shape_name(spec), TensorDtype::I64, &[2]),
        ],
    }
}

fn shape_name(spec: &WeightSpec) -> String {
    format!("{}_shape", spec.name)
}

/// Outputs and inputs.
fn matrix(spec: &WeightSpec) -> (usize, usize) {
    match spec.dims.as_slice() {
        [outputs, inputs] => (*outputs, *inputs),
        dims => (1, dims.iter().product()),
    }
}

/// What all weights are written with.
pub(super) struct Work<'a> {
    pub(super) threads: NonZeroUsize,
    pub(super) meter: Meter<'a>,
    pub(super) writer: Writer<'a>,
}

impl Work<'_> {
    /// Writes what becomes of a weight of elements `dtype`.
    pub(super) fn write(
        &mut self,
        step: &Step,
        tensor: &TensorView,
        dtype: StoredDtype,
    ) -> Result<Errors, QuantizeError> {
        let (codes, bits, groups) = match step.encoding {
            Encoding::Dense => return self.copy(tensor, dtype),
            Encoding::Int8(groups) => (step.spec.name.clone(), Bits::Eight, groups),
            Encoding::Int4(groups) => (step.spec.packed_name(), Bits::Four, groups),
        };
        let (outputs, inputs) = matrix(&step.spec);
        let encoder =
            Encoder { bits, columns: inputs, group: groups.size, dtype, scale_dtype: groups.scales };
        let mut all_scales = Vec::with_capacity(outputs * encoder.scale_bytes());
        let mut errors = Errors::default();
        let rows_at_a_time = (BLOCK / inputs.max(1)).max(1);
        let bytes = tensor.bytes();
        let mut first = 0;
        for block in bytes.chunks(rows_at_a_time * encoder.weight_bytes()) {
            let encoded = encoder.encode(block, self.threads);
            let EncodedRows { codes: of_block, scales, errors: more } =
                encoded.map_err(|at| non_finite(tensor, vec![first + at.row, at.column], at.value))?;
            self.writer.write(&codes, (first * encoder.code_bytes()) as u64, &of_block)?;
            all_scales.extend(scales);
            errors = errors.with(more);
            self.read(tensor, first * encoder.weight_bytes(), block.len())?;
            first += rows_at_a_time;
        }
        self.writer.write(&step.spec.scales_name(), 0, &all_scales)?;
        if bits == Bits::Four {
            let shape = [outputs, inputs].map(|extent| (extent as u64).to_le_bytes());
            self.writer.write(&shape_name(&step.spec), 0, shape.as_flattened())?;
        }
        Ok(errors)
    }

    /// Writes a weight of elements `dtype` as it is.
    fn copy(&mut self, tensor: &TensorView, dtype: StoredDtype) -> Result<Errors, QuantizeError> {
        let mut errors = Errors::default();
        let mut values = vec![0.0; BLOCK.min(tensor.element_count())];
        let inputs = tensor.dims().last().copied().unwrap_or(1).max(1);
        let mut first = 0;
        for block in tensor.bytes().chunks(BLOCK * dtype.size()) {
            let values = values.get_mut(..block.len() / dtype.size()).unwrap_or_default();
            decode(dtype, block, values);
            for (index, value) in values.iter().enumerate() {
                if !value.is_finite() {
                    let index = first / dtype.size() + index;
                    // A vector has no rows.
                    let position =
                        [index / inputs, index % inputs].into_iter().skip(2 - tensor.dims().len().min(2));
                    return Err(non_finite(tensor, position.collect(), *value));
                }
                errors.add_weight(*value, *value);
            }
            self.writer.write(tensor.name(), first as u64, block)?;
            self.read(tensor, first, block.len())?;
            first += block.len();
        }
        Ok(errors)
    }

    /// Lets go of `bytes` bytes of `tensor`, from number `first` on, and tells that they are dealt with.
    fn read(&mut self, tensor: &TensorView, first: usize, bytes: usize) -> Result<(), QuantizeError> {
        if let Some((source, range)) = tensor.in_file() {
            let start = range.start + first;
            source.release(start..start + bytes);
        }
        Ok(self.meter.advance(bytes)?)
    }
}

fn non_finite(tensor: &TensorView, position: Vec<usize>, value: f32) -> QuantizeError {
    QuantizeError::NonFinite {
        tensor: tensor.name().to_owned(),
        file: tensor.source().path().to_owned(),
        position,
        value,
    }
}
