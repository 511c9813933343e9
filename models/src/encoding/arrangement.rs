//! In which order programs take the codes and scales of a weight.

use super::{Described, Encoding, StorageProblem, WeightPart, WeightTensor};
use crate::dtype::TensorDtype;
use crate::weights::WeightSpec;

/// How programs take the tensors of a weight in few bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Arrangement {
    /// Row by row, as files have them: a device that is this machine's processor reads the mapped file itself.
    #[default]
    Rows,
    /// Where groups have scales of their own, or codes 4 bits, by groups: codes `[groups, out, group]`, of 4 bits as I4; scales
    /// and offsets `[groups, out]`. Compilers for TPUs and GPUs fuse products of no other arrangement.
    Groups,
}

impl Arrangement {
    /// How a weight of these inputs is taken where this is wanted: what has one scale for each output and whole bytes for
    /// codes needs no other arrangement than a file's.
    pub(super) fn of(self, encoding: Encoding, inputs: usize) -> Self {
        let by_rows = match encoding {
            Encoding::Dense => true,
            Encoding::Int8(groups) => groups.size == inputs && !groups.offsets,
            Encoding::Int4(_) => false,
        };
        if by_rows { Self::Rows } else { self }
    }
}

impl WeightSpec {
    /// The tensors that a program takes of this weight: as [`tensors`](Self::tensors), in another order where that is
    /// wanted and makes a difference.
    pub fn arranged(&self, encoding: Encoding, arrangement: Arrangement) -> Vec<WeightTensor> {
        let mut tensors = self.tensors(encoding);
        let &[outputs, inputs] = self.dims.as_slice() else { return tensors };
        let Some(groups) = encoding.groups() else { return tensors };
        if arrangement.of(encoding, inputs) == Arrangement::Rows {
            return tensors;
        }
        let number = inputs / groups.size.max(1);
        for tensor in &mut tensors {
            tensor.arrangement = Arrangement::Groups;
            tensor.dims = match tensor.part {
                WeightPart::Codes => vec![number, outputs, groups.size],
                WeightPart::Values | WeightPart::Scales | WeightPart::Offsets => vec![number, outputs],
            };
            if (tensor.part, tensor.dtype) == (WeightPart::Codes, Some(TensorDtype::U8)) {
                tensor.dtype = Some(TensorDtype::I4);
            }
        }
        tensors
    }
}

impl Encoding {
    /// How `weight` is stored, and how a program takes it whose parameters `find` has by name.
    ///
    /// # Errors
    /// If they are none that [`WeightSpec::arranged`] has.
    pub fn of_parameters<'a>(
        weight: &WeightSpec,
        find: &dyn Fn(&str) -> Option<Described<'a>>,
    ) -> Result<(Self, Arrangement), StorageProblem> {
        let codes = [weight.packed_name(), weight.name.clone()];
        if !codes.iter().filter_map(|name| find(name)).any(|(_, dims)| dims.len() == 3) {
            return Ok((Self::of_tensors(weight, find)?, Arrangement::Rows));
        }
        let [packed, plain] = codes;
        let stored = [packed, plain, weight.scales_name(), weight.offsets_name()].into_iter();
        let stored: Vec<(String, TensorDtype, Vec<usize>)> = stored
            .filter_map(|name| {
                let (dtype, dims) = row_by_row(find(&name)?);
                Some((name, dtype, dims))
            })
            .collect();
        let find = |name: &str| {
            let found = stored.iter().find(|(known, ..)| known == name);
            found.map(|(_, dtype, dims)| (*dtype, dims.as_slice()))
        };
        Ok((Self::of_tensors(weight, &find)?, Arrangement::Groups))
    }
}

/// What a file has of a tensor that is by groups.
fn row_by_row((dtype, dims): Described<'_>) -> (TensorDtype, Vec<usize>) {
    match (dtype, dims) {
        (TensorDtype::I4, &[groups, outputs, group]) => {
            (TensorDtype::U8, vec![outputs, groups.saturating_mul(group) / 2])
        }
        (_, &[groups, outputs, group]) => (dtype, vec![outputs, groups.saturating_mul(group)]),
        (_, &[groups, outputs]) => (dtype, vec![outputs, groups]),
        _ => (dtype, dims.to_vec()),
    }
}
