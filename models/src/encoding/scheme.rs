//! One rule for all weights of a model.

use std::fmt;
use std::str::FromStr;

use super::{Encoding, Encodings, Groups};
use crate::config::GemmaConfig;
use crate::weights::{WeightRole, WeightSpec, weight_specs};

/// How all weights of a model are stored. Whatever it says, norms are dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WeightScheme {
    /// All are dense.
    #[default]
    Dense,
    /// Codes of 8 bits.
    Int8 {
        /// Inputs that share a scale; `None` for all of an output.
        group: Option<usize>,
    },
    /// Codes of 4 bits; of the embedding, of 8 bits with a scale for each row, since it is also what the logits are
    /// made with.
    Int4 {
        /// Inputs that share a scale.
        group: usize,
    },
}

/// Why a model's weights cannot be stored by a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// No such scheme.
    #[error(
        "no weights are `{0}`: give bf16, int8, int8:GROUP, int4 or int4:GROUP, where GROUP is inputs that share a \
             scale, of int4 an even number"
    )]
    Unknown(String),
    /// Groups that do not divide the inputs of a weight.
    #[error("groups of {group} do not divide the {inputs} inputs of `{weight}`: give another group size")]
    Group {
        /// Inputs that are to share a scale.
        group: usize,
        /// Inputs that the weight has.
        inputs: usize,
        /// The weight.
        weight: String,
    },
    /// Inputs that leave a word of codes of 4 bits incomplete.
    #[error("the {inputs} inputs of `{weight}` do not fill words of 8 codes of 4 bits: give bf16 or int8")]
    Words {
        /// Inputs that the weight has.
        inputs: usize,
        /// The weight.
        weight: String,
    },
}

impl WeightScheme {
    /// Inputs that share a scale in 4 bits, where nothing else is said.
    pub const DEFAULT_GROUP: usize = 64;

    fn encoding(self, config: &GemmaConfig, weight: &WeightSpec) -> Result<Encoding, SchemeError> {
        let &[_, inputs] = weight.dims.as_slice() else { return Ok(Encoding::Dense) };
        let groups = |size: usize| match size > 0 && inputs.is_multiple_of(size) {
            true => Ok(Groups { size, scales: config.checkpoint_dtype, offsets: false }),
            false => Err(SchemeError::Group { group: size, inputs, weight: weight.name.clone() }),
        };
        match self {
            Self::Dense => Ok(Encoding::Dense),
            Self::Int8 { .. } | Self::Int4 { .. } if weight.role == WeightRole::Embedding => {
                Ok(Encoding::Int8(groups(inputs)?))
            }
            Self::Int8 { group } => Ok(Encoding::Int8(groups(group.unwrap_or(inputs))?)),
            Self::Int4 { .. } if !inputs.is_multiple_of(8) => {
                Err(SchemeError::Words { inputs, weight: weight.name.clone() })
            }
            Self::Int4 { group } => Ok(Encoding::Int4(groups(group)?)),
        }
    }
}

impl Encodings {
    /// The weights of `config` by one rule, with scales in the config's own element type.
    ///
    /// # Errors
    /// [`SchemeError::Group`].
    pub fn uniform(config: &GemmaConfig, scheme: WeightScheme) -> Result<Self, SchemeError> {
        let mut encodings = Self::default();
        for weight in weight_specs(config) {
            encodings.set(&weight, scheme.encoding(config, &weight)?);
        }
        Ok(encodings)
    }
}

impl FromStr for WeightScheme {
    type Err = SchemeError;

    fn from_str(text: &str) -> Result<Self, SchemeError> {
        let unknown = || SchemeError::Unknown(text.to_owned());
        let (name, group) = match text.split_once(':') {
            None => (text, None),
            Some((name, group)) => {
                let group = group.parse().ok().filter(|group: &usize| *group > 0);
                (name, Some(group.ok_or_else(unknown)?))
            }
        };
        match (name, group) {
            ("bf16" | "dense", None) => Ok(Self::Dense),
            ("int8", group) => Ok(Self::Int8 { group }),
            ("int4", group) => {
                let group =
                    Some(group.unwrap_or(Self::DEFAULT_GROUP)).filter(|group| group.is_multiple_of(2));
                Ok(Self::Int4 { group: group.ok_or_else(unknown)? })
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for WeightScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense => f.write_str("bf16"),
            Self::Int8 { group: None } => f.write_str("int8"),
            Self::Int8 { group: Some(group) } => write!(f, "int8:{group}"),
            Self::Int4 { group } => write!(f, "int4:{group}"),
        }
    }
}
