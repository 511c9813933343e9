//! Tensors of a file as the weights of a model.

use std::collections::HashMap;
use std::sync::Arc;

use super::blocks::{CodeWidth, Format};
use super::error::GgufError;
use super::header::TensorInfo;
use super::names::{EMBEDDING, OUTPUT, tensor_name};
use super::repack::{FromBlocks, LessOne};
use super::tensor_type::TensorType;
use super::{Gguf, Part};
use crate::checkpoint::{Checkpoint, CheckpointError, TensorProblem, TensorProblems, TensorView};
use crate::config::GemmaConfig;
use crate::dtype::StoredDtype;
use crate::encoding::{Encoding, Encodings, Groups};
use crate::weights::{WeightSpec, weight_specs};

impl TensorType {
    /// How a matrix of this type is stored.
    const fn encoding(self) -> Encoding {
        match self {
            Self::Dense(_) => Encoding::Dense,
            Self::Blocks(format) => format.encoding(),
        }
    }
}

impl Format {
    const fn encoding(&self) -> Encoding {
        let groups = Groups { size: self.group, scales: self.scales, offsets: self.has_offsets };
        match self.codes {
            CodeWidth::Eight => Encoding::Int8(groups),
            CodeWidth::Four => Encoding::Int4(groups),
        }
    }
}

/// A tensor, and what it lies in.
#[derive(Clone, Copy)]
struct Located<'a> {
    part: &'a Part,
    info: &'a TensorInfo,
}

impl<'a> Located<'a> {
    fn bytes(self) -> &'a [u8] {
        self.part.source.bytes().get(self.info.range.clone()).unwrap_or_default()
    }
}

impl Gguf {
    /// The checkpoint, checked to hold exactly the weights that its metadata call for.
    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        let config = self.config()?;
        let mut problems = Vec::new();
        let mut found = self.located(&mut problems);
        let mut views = HashMap::new();
        for weight in weight_specs(&config) {
            let name = tensor_name(config.architecture, &weight);
            match found.remove(name.as_str()) {
                None => problems.push(TensorProblem::Missing { name, expected: weight.dims }),
                Some(tensor) if tensor.info.dims != weight.dims => problems.push(TensorProblem::Shape {
                    name,
                    file: tensor.part.source.path().to_owned(),
                    found: tensor.info.dims.clone(),
                    expected: weight.dims,
                }),
                Some(tensor) => {
                    let of_weight = views_of(&weight, tensor).map_err(|error| self.unusable(error))?;
                    views.extend(of_weight.into_iter().map(|view| (view.name().to_owned(), view)));
                }
            }
        }
        let output = found.remove(OUTPUT);
        let mut extra: Vec<_> = found.into_values().collect();
        extra.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        problems.extend(extra.into_iter().map(|tensor| TensorProblem::Extra {
            name: tensor.info.name.clone(),
            found: tensor.info.dims.clone(),
            file: tensor.part.source.path().to_owned(),
        }));
        if !problems.is_empty() {
            return Err(CheckpointError::Tensors {
                directory: self.path.clone(),
                problems: TensorProblems(problems),
            });
        }
        if let Some(output) = output {
            self.check_tied(output)?;
        }
        Checkpoint::from_tensors(self.path.clone(), config, views)
    }

    /// How the weights of `config` are stored, as far as there are tensors of their names.
    pub(super) fn encodings(&self, config: &GemmaConfig) -> Encodings {
        let found = self.located(&mut Vec::new());
        let mut encodings = Encodings::default();
        for weight in weight_specs(config) {
            if let ([_, _], Some(tensor)) =
                (weight.dims.as_slice(), found.get(tensor_name(config.architecture, &weight).as_str()))
            {
                encodings.set(&weight, tensor.info.kind.encoding());
            }
        }
        encodings
    }

    /// The tensor of the embedding.
    pub(super) fn embedding(&self) -> Option<&TensorInfo> {
        self.parts().flat_map(|part| &part.header.tensors).find(|tensor| tensor.name == EMBEDDING)
    }

    /// All tensors by their names in the file; those that are in two parts are `problems`.
    fn located(&self, problems: &mut Vec<TensorProblem>) -> HashMap<&str, Located<'_>> {
        let mut found: HashMap<&str, Located<'_>> = HashMap::new();
        for part in self.parts() {
            for info in &part.header.tensors {
                if let Some(other) = found.insert(&info.name, Located { part, info }) {
                    problems.push(TensorProblem::Duplicate {
                        name: info.name.clone(),
                        first: other.part.source.path().to_owned(),
                        second: part.source.path().to_owned(),
                    });
                }
            }
        }
        found
    }

    /// Some converters write the embedding out a second time, as the projection to the logits. That is harmless if it
    /// is the same matrix, and only then.
    fn check_tied(&self, output: Located<'_>) -> Result<(), CheckpointError> {
        let embedding = self.located(&mut Vec::new()).get(EMBEDDING).copied();
        let is_same = embedding.is_some_and(|embedding| {
            embedding.info.kind.name() == output.info.kind.name()
                && embedding.info.dims == output.info.dims
                && embedding.bytes() == output.bytes()
        });
        for tensor in embedding.into_iter().chain([output]) {
            // They were read to be compared, and need not stay resident.
            tensor.part.source.release(tensor.info.range.clone());
        }
        match is_same {
            true => Ok(()),
            false => Err(self.unusable(GgufError::UntiedOutput).into()),
        }
    }
}

/// The tensors that programs take for a weight.
fn views_of(weight: &WeightSpec, tensor: Located<'_>) -> Result<Vec<TensorView>, GgufError> {
    let TensorInfo { kind, range, .. } = tensor.info;
    let source = || Arc::clone(&tensor.part.source);
    match (*kind, weight.dims.len()) {
        (TensorType::Dense(stored), 1) => {
            let (name, dims, range) = (weight.name.clone(), weight.dims.clone(), range.clone());
            let dtype = StoredDtype::F32.into();
            let how = Arc::new(LessOne { stored });
            Ok(vec![TensorView::repacked(name, dtype, dims, source(), range, how)])
        }
        (TensorType::Blocks(format), 1) => {
            Err(GgufError::NormType { tensor: tensor.info.name.clone(), found: format.name })
        }
        (TensorType::Dense(stored), _) => {
            let (name, dims, range) = (weight.name.clone(), weight.dims.clone(), range.clone());
            Ok(vec![TensorView::stored(name, stored.into(), dims, source(), range)])
        }
        (TensorType::Blocks(format), _) => {
            let parts = weight.tensors(format.encoding()).into_iter();
            let view = |part: crate::encoding::WeightTensor| {
                let dtype = part.dtype.unwrap_or(StoredDtype::F32.into());
                let how = Arc::new(FromBlocks { format, part: part.part });
                TensorView::repacked(part.name, dtype, part.dims, source(), range.clone(), how)
            };
            Ok(parts.map(view).collect())
        }
    }
}
