//! What tensors say of the weight that they are.

use super::{Encoding, Groups};
use crate::dtype::{StoredDtype, TensorDtype};
use crate::weights::WeightSpec;

/// Tensors that are no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageProblem {
    /// Neither values nor codes.
    #[error("there is no `{tensor}`")]
    Missing {
        /// The name that values would have.
        tensor: String,
    },
    /// Codes that nothing scales.
    #[error("`{codes}` holds codes, but there is no `{tensor}` with their scales; is the download complete?")]
    MissingScales {
        /// The codes.
        codes: String,
        /// The name that scales would have.
        tensor: String,
    },
    /// Another element type.
    #[error("`{tensor}` is of {found}, but must be of {expected}")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// Its element type.
        found: TensorDtype,
        /// Those that would do.
        expected: &'static str,
    },
    /// Another shape.
    #[error("`{tensor}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it must have.
        expected: Vec<usize>,
    },
    /// Scales that are not those of groups of equal size.
    #[error(
        "`{tensor}` has shape {found:?}, expected [{rows}, groups], where groups of equal size (in 4 bits an even one) \
         make up the {columns} inputs of `{weight}`"
    )]
    Groups {
        /// The scales.
        tensor: String,
        /// Their shape.
        found: Vec<usize>,
        /// Outputs of the weight.
        rows: usize,
        /// Its inputs.
        columns: usize,
        /// The weight.
        weight: String,
    },
}

impl StorageProblem {
    /// The tensor that is wrong or missing.
    pub fn tensor(&self) -> &str {
        match self {
            Self::Missing { tensor }
            | Self::MissingScales { tensor, .. }
            | Self::Dtype { tensor, .. }
            | Self::Shape { tensor, .. }
            | Self::Groups { tensor, .. } => tensor,
        }
    }
}

/// Element type and shape of a tensor.
pub type Described<'a> = (TensorDtype, &'a [usize]);

impl Encoding {
    /// How `weight` is stored, as its tensors tell, which `find` has by name.
    ///
    /// # Errors
    /// If they are none that [`WeightSpec::tensors`] has.
    pub fn of_tensors<'a>(
        weight: &WeightSpec,
        find: &dyn Fn(&str) -> Option<Described<'a>>,
    ) -> Result<Self, StorageProblem> {
        let packed = weight.packed_name();
        if let (&[rows, columns], Some((dtype, dims))) = (weight.dims.as_slice(), find(&packed)) {
            expect(&packed, dtype, dtype == TensorDtype::U8, "i32 or u8")?;
            expect_dims(&packed, dims, &[rows, columns / 2])?;
            // Two codes share a byte, and are to share a scale.
            return Ok(Self::Int4(Groups::of_tensors(weight, &packed, 2, find)?));
        }
        let Some((dtype, dims)) = find(&weight.name) else {
            return Err(StorageProblem::Missing { tensor: weight.name.clone() });
        };
        expect_dims(&weight.name, dims, &weight.dims)?;
        match (dtype, weight.dims.len()) {
            (TensorDtype::Float(_), _) => Ok(Self::Dense),
            (TensorDtype::I8, 2) => Ok(Self::Int8(Groups::of_tensors(weight, &weight.name, 1, find)?)),
            (found, 2) => expect(&weight.name, found, false, "f32, bf16, f16 or i8").map(|()| Self::Dense),
            (found, _) => expect(&weight.name, found, false, "f32, bf16 or f16").map(|()| Self::Dense),
        }
    }
}

impl Groups {
    /// What scales `codes`, of which a byte has `per_byte`.
    fn of_tensors<'a>(
        weight: &WeightSpec,
        codes: &str,
        per_byte: usize,
        find: &dyn Fn(&str) -> Option<Described<'a>>,
    ) -> Result<Self, StorageProblem> {
        let tensor = weight.scales_name();
        let Some((dtype, dims)) = find(&tensor) else {
            return Err(StorageProblem::MissingScales { codes: codes.to_owned(), tensor });
        };
        let TensorDtype::Float(scales) = dtype else {
            return Err(StorageProblem::Dtype { tensor, found: dtype, expected: "f32, bf16 or f16" });
        };
        let size = match (weight.dims.as_slice(), dims) {
            (&[rows, columns], &[scaled, groups]) if scaled == rows && groups > 0 => Some(columns / groups)
                .filter(|size| size * groups == columns && size.is_multiple_of(per_byte)),
            _ => None,
        };
        let Some(size) = size else {
            let (rows, columns) = match weight.dims.as_slice() {
                &[rows, columns] => (rows, columns),
                _ => (0, 0),
            };
            let (found, weight) = (dims.to_vec(), weight.name.clone());
            return Err(StorageProblem::Groups { tensor, found, rows, columns, weight });
        };
        let offsets = weight.offsets_name();
        let offsets = match find(&offsets) {
            None => false,
            Some((found, found_dims)) => {
                expect(&offsets, found, found == StoredDtype::F32.into(), "f32")?;
                expect_dims(&offsets, found_dims, dims)?;
                true
            }
        };
        Ok(Self { size, scales, offsets })
    }
}

fn expect(
    tensor: &str,
    found: TensorDtype,
    is_right: bool,
    expected: &'static str,
) -> Result<(), StorageProblem> {
    match is_right {
        true => Ok(()),
        false => Err(StorageProblem::Dtype { tensor: tensor.to_owned(), found, expected }),
    }
}

fn expect_dims(tensor: &str, found: &[usize], expected: &[usize]) -> Result<(), StorageProblem> {
    match found == expected {
        true => Ok(()),
        false => Err(StorageProblem::Shape {
            tensor: tensor.to_owned(),
            found: found.to_vec(),
            expected: expected.to_vec(),
        }),
    }
}
