//! Which of the tensors there are make up a weight, and in which encoding.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TensorProblem;
use super::repack::Unbias;
use super::tensor::TensorView;
use crate::dtype::TensorDtype;
use crate::encoding::{Encoding, StorageProblem};
use crate::weights::{WeightRole, WeightSpec};

/// Takes the tensors of `weight` out of those there are, in the order of [`WeightSpec::tensors`]. `declared` is how the
/// config says that it is stored, if it says so of any weight; `directory` stands for the file of what is missing.
pub(super) fn take(
    weight: &WeightSpec,
    tensors: &mut HashMap<String, TensorView>,
    declared: Option<Encoding>,
    directory: &Path,
) -> Result<(Encoding, Vec<TensorView>), TensorProblem> {
    unpack(weight, tensors)?;
    let find = |name: &str| tensors.get(name).map(|tensor| (tensor.dtype, tensor.dims.as_slice()));
    let encoding = Encoding::of_tensors(weight, &find).map_err(|problem| {
        let near = [problem.tensor(), &weight.name, &weight.packed_name()];
        let file = near.iter().find_map(|name| tensors.get(*name)).map(path);
        named(weight, problem, file.unwrap_or_else(|| directory.to_owned()), declared)
    })?;
    let names = weight.tensors(encoding).into_iter().map(|tensor| tensor.name);
    let taken: Vec<TensorView> = names.filter_map(|name| tensors.remove(&name)).collect();
    // Of an embedding the standard's config has nothing to say: what it lists are linear layers.
    let is_told = weight.role != WeightRole::Embedding || declared != Some(Encoding::Dense);
    match (declared, taken.first()) {
        (Some(declared), Some(first)) if is_told && !declared.is_like(encoding) => {
            let (name, file) = (weight.name.clone(), path(first));
            Err(TensorProblem::Contradiction { name, file, found: encoding, declared })
        }
        _ => Ok((encoding, taken)),
    }
}

fn path(tensor: &TensorView) -> PathBuf {
    tensor.source.path().to_owned()
}

fn named(
    weight: &WeightSpec,
    problem: StorageProblem,
    file: PathBuf,
    declared: Option<Encoding>,
) -> TensorProblem {
    match problem {
        StorageProblem::Missing { .. } => {
            let missing = weight.tensors(declared.unwrap_or_default()).into_iter().next();
            let (name, expected) = missing.map_or_else(
                || (weight.name.clone(), weight.dims.clone()),
                |tensor| (tensor.name, tensor.dims),
            );
            TensorProblem::Missing { name, expected }
        }
        StorageProblem::Shape { tensor: name, found, expected } => {
            TensorProblem::Shape { name, file, found, expected }
        }
        problem => TensorProblem::Storage { file, problem },
    }
}

/// Words of codes become bytes, as programs take them: words of eight codes are the bytes of two codes each that they
/// consist of, and words of four are codes with 128 added. What else the format stores beside them is checked.
fn unpack(weight: &WeightSpec, tensors: &mut HashMap<String, TensorView>) -> Result<(), TensorProblem> {
    let packed = weight.packed_name();
    let &[rows, columns] = weight.dims.as_slice() else { return Ok(()) };
    if let Some(tensor) = tensors.get(&packed).filter(|tensor| tensor.dtype == TensorDtype::I32) {
        let mut tensor = tensor.clone();
        let bytes = tensor.dims.last().map_or(0, |words| words.saturating_mul(TensorDtype::I32.size()));
        if tensor.dims.len() != 2 || ![columns / 2, columns].contains(&bytes) {
            let (found, expected) = (tensor.dims, vec![rows, columns / 8]);
            return Err(TensorProblem::Shape {
                name: packed,
                file: tensor.source.path().to_owned(),
                found,
                expected,
            });
        }
        if let Some(last) = tensor.dims.last_mut() {
            *last = bytes;
        }
        tensor.dtype = TensorDtype::U8;
        if bytes == columns && !tensors.contains_key(&weight.name) {
            tensors.remove(&packed);
            tensor.name.clone_from(&weight.name);
            tensor.dtype = TensorDtype::I8;
            tensor.repack = Some(Arc::new(Unbias));
        }
        tensors.insert(tensor.name.clone(), tensor);
    }
    if let Some(shape) = tensors.remove(&format!("{}_shape", weight.name)) {
        let sizes = [rows, columns].map(|size| (size as u64).to_le_bytes()).concat();
        if shape.dtype != TensorDtype::I64 || *shape.bytes() != sizes {
            let reason = "it does not say the shape that config.json gives the weight; one of them is of another \
                          checkpoint";
            return Err(TensorProblem::Unsupported { name: shape.name.clone(), file: path(&shape), reason });
        }
    }
    // Some writers store the zero points of symmetric codes, which are zeros.
    let zeros = format!("{}_zero_point", weight.name);
    if tensors.get(&zeros).is_some_and(|tensor| tensor.bytes().iter().all(|&byte| byte == 0)) {
        tensors.remove(&zeros);
    }
    Ok(())
}

/// What a tensor that no weight has stands for, if it is one of another way of encoding.
pub(super) fn unsupported(name: &str) -> Option<&'static str> {
    const REASONS: [(&str, &str); 14] = [
        (".weight_zero_point", ZERO_POINTS),
        (".weight_g_idx", ORDER),
        (".g_idx", ORDER),
        (".input_scale", ACTIVATIONS),
        (".input_zero_point", ACTIVATIONS),
        (".input_global_scale", ACTIVATIONS),
        (".output_scale", ACTIVATIONS),
        (".k_scale", CACHE),
        (".v_scale", CACHE),
        (".weight_global_scale", FORMAT),
        (".weight_scale_inv", FORMAT),
        (".qweight", FORMAT),
        (".qzeros", FORMAT),
        (".weight.absmax", FORMAT),
    ];
    const ZERO_POINTS: &str = "zero points (asymmetric codes) are not supported; quantize symmetrically";
    const ORDER: &str = "weights in the order of their activations (g_idx) are not supported; quantize without \
                         actorder, or with actorder `weight`";
    const ACTIVATIONS: &str =
        "quantized activations are not supported, only weights; quantize as W8A16 or W4A16";
    const CACHE: &str = "scales of a quantized KV cache are not supported";
    const FORMAT: &str = "this way of quantizing is not supported; supported are the compressed-tensors formats \
                          int-quantized (8 bits) and pack-quantized (4 or 8 bits), with symmetric weights";
    REASONS.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, reason)| *reason)
}
