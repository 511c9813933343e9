//! What a bundle's programs take and return, from its manifest.

use std::collections::HashMap;

use lapidary_graph::{DType, LogicalAxes, TensorType};
use lapidary_lower::sharding::{AxisSplit, DimSharding};
use lapidary_lower::{EntryShardings, Mesh, Sharding};
use lapidary_models::config::GemmaConfig;
use lapidary_models::dtype::{StoredDtype, TensorDtype};
use lapidary_models::encoding::{Arrangement, Encoding, Encodings, WeightTensor};
use lapidary_models::program::{
    Input, KvCache, Output, ParamRole, ParamSpec, ResultRole, ResultSpec, Signature, StateKind,
};
use lapidary_models::weights::{weight_specs, weight_tensors};

use crate::bundle::ProgramManifest;
use crate::engine::programs::Interface;
use crate::export::{ParamManifest, RoleManifest, ValueManifest, input_name, output_name};

/// How the weights are stored that a program of `config` takes, and how it takes them, as its parameters tell.
///
/// # Errors
/// What is wrong with a parameter.
pub(super) fn encodings(config: &GemmaConfig, program: &ProgramManifest) -> Result<Encodings, String> {
    let mut tensors = HashMap::new();
    for ParamManifest { value, .. } in &program.parameters {
        if let RoleManifest::Weight { tensor } = &value.role {
            let dtype = stored(&value.dtype).ok_or_else(|| format!("`{tensor}` is of {}", value.dtype))?;
            tensors.insert(tensor.as_str(), (dtype, value.shape.as_slice()));
        }
    }
    let mut encodings = Encodings::default();
    for weight in weight_specs(config) {
        let found = Encoding::of_parameters(&weight, &|name| tensors.get(name).copied());
        let (encoding, arrangement) = found.map_err(|problem| problem.to_string())?;
        encodings.set(&weight, encoding);
        if arrangement == Arrangement::Groups {
            encodings = encodings.arranged(arrangement);
        }
    }
    Ok(encodings)
}

/// The form of the KV cache that a program takes.
pub(super) fn kv_cache(program: &ProgramManifest) -> KvCache {
    let is_scales = |param: &ParamManifest| match &param.value.role {
        RoleManifest::State { half, .. } => *half == StateKind::KeyScales.name(),
        RoleManifest::Weight { .. } | RoleManifest::Input { .. } | RoleManifest::Output { .. } => false,
    };
    if program.parameters.iter().any(is_scales) { KvCache::Int8 } else { KvCache::Dense }
}

/// The stored type that a program's parameter has.
fn stored(dtype: &str) -> Option<TensorDtype> {
    match dtype.parse().ok()? {
        DType::F32 => Some(StoredDtype::F32.into()),
        DType::BF16 => Some(StoredDtype::Bf16.into()),
        DType::F16 => Some(StoredDtype::F16.into()),
        DType::S4 => Some(TensorDtype::I4),
        DType::S8 => Some(TensorDtype::I8),
        DType::U8 => Some(TensorDtype::U8),
        _ => None,
    }
}

/// Reads the signatures of one model's programs on one mesh.
pub(super) struct InterfaceReader<'m> {
    mesh: &'m Mesh,
    layers: usize,
    weights: HashMap<String, WeightTensor>,
}

impl<'m> InterfaceReader<'m> {
    /// A reader for programs of `config`.
    pub(super) fn new(config: &GemmaConfig, mesh: &'m Mesh) -> Self {
        let weights = weight_tensors(config).into_iter().map(|tensor| (tensor.name.clone(), tensor));
        Self { mesh, layers: config.num_layers, weights: weights.collect() }
    }

    /// What a program takes and returns.
    ///
    /// # Errors
    /// The name of a parameter or result that is not one of a program of this model, and what is wrong with it.
    pub(super) fn read(&self, program: &ProgramManifest) -> Result<Interface, String> {
        let mut signature = Signature::default();
        let mut shardings = EntryShardings { params: Vec::new(), results: Vec::new() };
        for ParamManifest { value, donated_to } in &program.parameters {
            let of = |problem: String| format!("parameter `{}` {problem}", value.name);
            let role = self.param_role(&value.role).map_err(of)?;
            let (ty, axes, sharding) = self.layout(value).map_err(of)?;
            if let ParamRole::Weight(WeightTensor { dims, .. }) = &role
                && *dims != ty.dims
            {
                return Err(of(format!("is of shape {:?}, expected {dims:?}", ty.dims)));
            }
            let name = value.name.clone();
            signature.params.push(ParamSpec { name, role, ty, axes, donated_to: *donated_to });
            shardings.params.push(sharding);
        }
        for value in &program.results {
            let of = |problem: String| format!("result `{}` {problem}", value.name);
            let role = self.result_role(&value.role).map_err(of)?;
            let (ty, axes, sharding) = self.layout(value).map_err(of)?;
            signature.results.push(ResultSpec { name: value.name.clone(), role, ty, axes });
            shardings.results.push(sharding);
        }
        Ok(Interface { signature, shardings })
    }

    fn param_role(&self, role: &RoleManifest) -> Result<ParamRole, String> {
        match role {
            RoleManifest::Weight { tensor } => {
                let known = self.weights.get(tensor);
                let known =
                    known.ok_or_else(|| format!("is the tensor `{tensor}`, which the model lacks"))?;
                Ok(ParamRole::Weight(known.clone()))
            }
            RoleManifest::Input { input } => {
                let known = Input::ALL.into_iter().find(|known| input_name(*known) == input);
                known.map(ParamRole::Input).ok_or_else(|| format!("is an unknown input `{input}`"))
            }
            RoleManifest::State { layer, half } => {
                let (layer, kind) = self.state(*layer, half)?;
                Ok(ParamRole::State { layer, kind })
            }
            RoleManifest::Output { output } => Err(format!("is an output `{output}`")),
        }
    }

    fn result_role(&self, role: &RoleManifest) -> Result<ResultRole, String> {
        match role {
            RoleManifest::Output { output } => {
                let known = Output::ALL.into_iter().find(|known| output_name(*known) == output);
                known.map(ResultRole::Output).ok_or_else(|| format!("is an unknown output `{output}`"))
            }
            RoleManifest::State { layer, half } => {
                let (layer, kind) = self.state(*layer, half)?;
                Ok(ResultRole::State { layer, kind })
            }
            RoleManifest::Weight { tensor: name } | RoleManifest::Input { input: name } => {
                Err(format!("is `{name}`, which no program returns"))
            }
        }
    }

    fn state(&self, layer: usize, half: &str) -> Result<(usize, StateKind), String> {
        let kind = StateKind::ALL.into_iter().find(|kind| kind.name() == half);
        match kind {
            Some(kind) if layer < self.layers => Ok((layer, kind)),
            Some(_) | None => Err(format!("is an unknown state `{half}` of layer {layer}")),
        }
    }

    fn layout(&self, value: &ValueManifest) -> Result<(TensorType, LogicalAxes, Sharding), String> {
        let dtype: DType = value.dtype.parse().map_err(|error| format!("cannot be read: {error}"))?;
        if value.sharding.len() != value.shape.len() {
            return Err("is not split as it is shaped".to_string());
        }
        let dims = value.shape.iter().zip(&value.sharding).map(|(&size, splits)| {
            let splits =
                splits.iter().map(|split| AxisSplit { axis: split.axis.clone(), shards: split.shards });
            DimSharding { size, splits: splits.collect() }
        });
        let sharding = Sharding::of_dims(self.mesh, dims.collect());
        let sharding = sharding.filter(|sharding| sharding.shard_shape() == value.shard_shape);
        let sharding = sharding.ok_or_else(|| format!("cannot be split so over the mesh `{}`", self.mesh))?;
        let ty = TensorType::new(dtype, value.shape.as_slice());
        Ok((ty, LogicalAxes(value.axes.clone()), sharding))
    }
}
