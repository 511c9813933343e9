//! How weights are stored: as they are, or as integer codes with a scale for each group of them.

mod arrangement;
mod regroup;
mod scheme;
mod stored;

use std::collections::BTreeMap;
use std::fmt;

pub use arrangement::Arrangement;
pub use regroup::TensorPart;
pub use scheme::{SchemeError, WeightScheme};
pub use stored::{Described, StorageProblem};

use crate::dtype::{StoredDtype, TensorDtype};
use crate::weights::WeightSpec;

/// How one weight is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// As floats.
    #[default]
    Dense,
    /// As codes of 8 bits, -128 to 127.
    Int8(Groups),
    /// As codes of 4 bits, -8 to 7, two to a byte.
    Int4(Groups),
}

/// What the codes of a matrix `[out, in]` are scaled by: `w[o, i] = scale[o, i / size] * q[o, i] + offset[o, i / size]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Groups {
    /// Neighbouring inputs of one output that share a scale; divides `in`.
    pub size: usize,
    /// Element type of the scales.
    pub scales: StoredDtype,
    /// Whether there are offsets, in f32, or they are all zero.
    pub offsets: bool,
}

impl Encoding {
    /// Bits of a code; `None` where there are none.
    pub const fn bits(self) -> Option<u32> {
        match self {
            Self::Dense => None,
            Self::Int8(_) => Some(8),
            Self::Int4(_) => Some(4),
        }
    }

    /// What codes are scaled by; `None` where there are none.
    pub const fn groups(self) -> Option<Groups> {
        match self {
            Self::Dense => None,
            Self::Int8(groups) | Self::Int4(groups) => Some(groups),
        }
    }

    /// Whether this is the other, but for the element type of scales and for offsets, which no config tells of.
    pub(crate) fn is_like(self, other: Self) -> bool {
        let size = |encoding: Self| encoding.groups().map(|groups| groups.size);
        self.bits() == other.bits() && size(self) == size(other)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(bits), Some(Groups { size, scales, offsets })) = (self.bits(), self.groups()) else {
            return f.write_str("dense");
        };
        write!(f, "int{bits} in groups of {size} with {scales} scales")?;
        if offsets { f.write_str(" and offsets") } else { Ok(()) }
    }
}

/// How the weights of a model are stored, and how its programs take them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encodings {
    /// Those that are not dense, by name.
    encoded: BTreeMap<String, Encoding>,
    arrangement: Arrangement,
}

impl Encodings {
    /// Whether every weight is.
    pub fn is_dense(&self) -> bool {
        self.encoded.is_empty()
    }

    /// How a weight is stored.
    pub fn of(&self, weight: &WeightSpec) -> Encoding {
        self.encoded.get(&weight.name).copied().unwrap_or_default()
    }

    /// Says how a weight is stored.
    pub fn set(&mut self, weight: &WeightSpec, encoding: Encoding) {
        match encoding {
            Encoding::Dense => self.encoded.remove(&weight.name),
            Encoding::Int8(_) | Encoding::Int4(_) => self.encoded.insert(weight.name.clone(), encoding),
        };
    }

    /// How programs take the weights that it makes a difference for: [`Arrangement::Rows`] unless said otherwise.
    pub fn arrangement(&self) -> Arrangement {
        self.arrangement
    }

    /// The same for programs that want their weights so.
    #[must_use]
    pub fn arranged(mut self, arrangement: Arrangement) -> Self {
        self.arrangement = arrangement;
        self
    }

    /// Keeps those of these weights.
    pub(crate) fn retain(&mut self, weights: &[WeightSpec]) {
        self.encoded.retain(|name, _| weights.iter().any(|weight| weight.name == *name));
    }

    /// What differs between how weights are stored here and elsewhere, in words, and in how many weights; `None` if nothing
    /// does. `here` and `there` say whose they are, such as `in the bundle`.
    pub fn difference(&self, here: &str, other: &Self, there: &str) -> Option<String> {
        let names =
            self.encoded.keys().chain(other.encoded.keys().filter(|name| !self.encoded.contains_key(*name)));
        let of = |encodings: &Self, name: &str| encodings.encoded.get(name).copied().unwrap_or_default();
        let differing: Vec<&String> = names.filter(|name| of(self, name) != of(other, name)).collect();
        let (first, more) = differing.split_first()?;
        let more = match more.len() {
            0 => String::new(),
            1 => ", and another weight differs".to_owned(),
            more => format!(", and {more} more weights differ"),
        };
        Some(format!("{first} is {} {here} and {} {there}{more}", of(self, first), of(other, first)))
    }
}

impl fmt::Display for Encodings {
    /// What most codes are: `int4 in groups of 32 with bf16 scales`, or `dense`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<(Encoding, usize)> = Vec::new();
        for encoding in self.encoded.values() {
            match counts.iter_mut().find(|(counted, _)| counted == encoding) {
                Some((_, count)) => *count += 1,
                None => counts.push((*encoding, 1)),
            }
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(encoding, _)| encoding)
            .unwrap_or_default()
            .fmt(f)
    }
}

/// What one tensor of a weight holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightPart {
    /// The weight itself.
    Values,
    /// Its codes: i8 `[out, in]`, or u8 `[out, in / 2]`, where byte `j` of a row has element `2j` in its low half and
    /// element `2j + 1` in its high one, each as `q + 8`. By groups i8 or i4 `[groups, out, group]`.
    Codes,
    /// Its scales `[out, groups]`; by groups `[groups, out]`.
    Scales,
    /// Its offsets, f32, in the shape of the scales.
    Offsets,
}

/// One tensor that a weight consists of, as programs take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightTensor {
    /// Its name, such as `model.layers.7.mlp.up_proj.weight_scale`.
    pub name: String,
    /// What it holds.
    pub part: WeightPart,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its element type; `None` for values, which programs take in the type that they compute in.
    pub dtype: Option<TensorDtype>,
    /// In which order its elements are.
    pub arrangement: Arrangement,
    /// The weight.
    pub weight: WeightSpec,
}

impl WeightTensor {
    /// Bytes of the tensor, where values take those of `dtype`.
    pub fn byte_count(&self, dtype: StoredDtype) -> u64 {
        let size = self.dtype.map_or(dtype.size(), TensorDtype::size);
        self.dims.iter().product::<usize>() as u64 * size as u64
    }
}

impl WeightSpec {
    /// The tensors that a file has of this weight in an encoding, codes (or values) first; words of codes of 4 bits as bytes.
    pub fn tensors(&self, encoding: Encoding) -> Vec<WeightTensor> {
        let tensor = |name: String, part, dims, dtype| {
            let (arrangement, weight) = (Arrangement::Rows, self.clone());
            WeightTensor { name, part, dims, dtype, arrangement, weight }
        };
        let (&[rows, columns], Some(groups)) = (self.dims.as_slice(), encoding.groups()) else {
            return vec![tensor(self.name.clone(), WeightPart::Values, self.dims.clone(), None)];
        };
        let codes = match encoding {
            Encoding::Int4(_) => {
                let dims = vec![rows, columns.div_ceil(2)];
                tensor(self.packed_name(), WeightPart::Codes, dims, Some(TensorDtype::U8))
            }
            Encoding::Int8(_) | Encoding::Dense => {
                tensor(self.name.clone(), WeightPart::Codes, self.dims.clone(), Some(TensorDtype::I8))
            }
        };
        let per_group = vec![rows, columns / groups.size.max(1)];
        let scales = Some(groups.scales.into());
        let mut tensors =
            vec![codes, tensor(self.scales_name(), WeightPart::Scales, per_group.clone(), scales)];
        if groups.offsets {
            let dtype = Some(StoredDtype::F32.into());
            tensors.push(tensor(self.offsets_name(), WeightPart::Offsets, per_group, dtype));
        }
        tensors
    }

    /// The name of its codes of 4 bits.
    pub(crate) fn packed_name(&self) -> String {
        format!("{}_packed", self.name)
    }

    /// The name of its scales.
    pub(crate) fn scales_name(&self) -> String {
        format!("{}_scale", self.name)
    }

    /// The name of its offsets.
    pub(crate) fn offsets_name(&self) -> String {
        format!("{}_offset", self.name)
    }
}

#[cfg(test)]
mod tests;
