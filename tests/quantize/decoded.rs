//! Weights as the format's own implementation reads them, and as the formula makes them.

use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

/// The numbers of a tensor of floats.
pub fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let halves = || tensor.data().as_chunks().0.iter();
    match tensor.dtype() {
        Dtype::F32 => tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::BF16 => halves().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::F16 => halves().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        other => panic!("{name} is {other:?}"),
    }
}

/// Codes of a module, and its scales spread over them; `None` for a module without codes.
pub fn codes(tensors: &SafeTensors<'_>, module: &str, dims: &[usize]) -> Option<(Vec<i8>, Vec<f32>)> {
    let codes: Vec<i8> = match tensors.tensor(&format!("{module}.weight_packed")) {
        Ok(packed) => {
            assert_eq!(
                (packed.dtype(), packed.shape()),
                (Dtype::I32, &[dims[0], dims[1] / 8][..]),
                "{module}"
            );
            let shape = tensors.tensor(&format!("{module}.weight_shape")).unwrap();
            assert_eq!((shape.dtype(), shape.shape()), (Dtype::I64, &[2][..]));
            let shape: Vec<i64> =
                shape.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
            assert_eq!(shape, [dims[0] as i64, dims[1] as i64]);
            let words = packed.data().as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
            words.flat_map(|word| (0..8).map(move |k| ((word >> (4 * k)) & 15) as i8 - 8)).collect()
        }
        Err(_) => {
            let tensor = tensors.tensor(&format!("{module}.weight")).unwrap();
            if tensor.dtype() != Dtype::I8 {
                return None;
            }
            assert_eq!(tensor.shape(), dims, "{module}");
            tensor.data().iter().map(|byte| byte.cast_signed()).collect()
        }
    };
    let scale_name = format!("{module}.weight_scale");
    let groups = tensors.tensor(&scale_name).unwrap().shape().to_vec();
    assert_eq!((groups.len(), groups[0]), (2, dims[0]), "{module}");
    let group = dims[1] / groups[1];
    let scales = floats(tensors, &scale_name);
    let scales = scales.iter().flat_map(|scale| std::iter::repeat_n(*scale, group)).collect();
    Some((codes, scales))
}

/// All safetensors files of a directory.
pub fn files(directory: &Path) -> Vec<Vec<u8>> {
    let names = super::names(directory);
    let names = names.iter().filter(|name| name.ends_with(".safetensors"));
    names.map(|name| std::fs::read(directory.join(name)).unwrap()).collect()
}
