//! What a mesh and rules make of a program's parameters, for people and for JSON.

use lapidary_graph::{Function, Param};
use serde::Serialize;

use super::{Deviation, DeviationReason, Mesh, Sharding, ShardingRules, entry_shardings};

/// How each parameter of a program lies on the devices of a mesh, and why.
///
/// Its `Display` is a table for each role, in which parameters that differ only in numbers within their names, as
/// those of a model's layers do, share a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ShardingReport {
    /// The mesh, such as `data=2,model=4`.
    pub mesh: String,
    /// Number of devices.
    pub devices: usize,
    /// The rules, as TOML.
    pub rules: String,
    /// The parameters, in the order of the entry function.
    pub params: Vec<ParamReport>,
    /// Bytes of all parameters.
    pub bytes: usize,
    /// Bytes of all parameters' buffers on each device.
    pub bytes_per_device: usize,
}

/// How one parameter lies on the devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ParamReport {
    /// Name.
    pub name: String,
    /// What it is, such as `weight`, where the caller knows.
    pub role: Option<String>,
    /// Element type and dimensions, such as `bf16[256000,2304]`.
    #[serde(rename = "type")]
    pub ty: String,
    /// The logical axis of each dimension.
    pub logical_axes: Vec<Option<String>>,
    /// The mesh axes of each dimension, such as `[model, -]`.
    pub sharding: String,
    /// Dimensions of each device's buffer.
    pub shard_shape: Vec<usize>,
    /// Bytes of the parameter.
    pub bytes: usize,
    /// Bytes of each device's buffer.
    pub bytes_per_device: usize,
    /// The number of devices that hold each part.
    pub copies: usize,
    /// Why it is not split as the rules ask, or not at all; nothing on one device.
    pub reasons: Vec<String>,
    /// What all this tells of.
    #[serde(skip)]
    pub split: Sharding,
}

impl ShardingReport {
    /// The report on an entry function's parameters, whose roles `role` tells.
    pub fn new(
        entry: &Function,
        mesh: &Mesh,
        rules: &ShardingRules,
        role: impl Fn(&Param) -> Option<String>,
    ) -> Self {
        let shardings = entry_shardings(entry, mesh, rules);
        let params: Vec<ParamReport> = entry
            .params
            .iter()
            .zip(shardings.params)
            .filter_map(|(param, sharding)| ParamReport::new(entry, param, sharding, role(param)))
            .collect();
        let total =
            |bytes: fn(&ParamReport) -> usize| params.iter().map(bytes).fold(0, usize::saturating_add);
        Self {
            mesh: mesh.to_string(),
            devices: mesh.num_devices(),
            rules: rules.to_string(),
            bytes: total(|param| param.bytes),
            bytes_per_device: total(|param| param.bytes_per_device),
            params,
        }
    }

    /// What is on every device of a mesh axis although a rule splits it over the axis, and why.
    pub fn undivided(&self) -> Vec<&Deviation> {
        let mut undivided: Vec<&Deviation> = Vec::new();
        for deviation in self.params.iter().flat_map(|param| param.split.deviations()) {
            let told = undivided.iter().any(|other| other.to_string() == deviation.to_string());
            let is_whole = matches!(
                deviation.reason,
                DeviationReason::NotDivisible { .. } | DeviationReason::CutsBlocks { .. }
            );
            if !told && is_whole {
                undivided.push(deviation);
            }
        }
        undivided
    }
}

impl ParamReport {
    fn new(entry: &Function, param: &Param, sharding: Sharding, role: Option<String>) -> Option<Self> {
        let ty = entry.value_type(param.value)?;
        let shard_shape = sharding.shard_shape();
        Some(Self {
            name: param.name.clone(),
            role,
            ty: ty.to_string(),
            logical_axes: param.axes.as_ref().map_or_else(|| vec![None; ty.rank()], |axes| axes.0.clone()),
            sharding: sharding.to_string(),
            bytes: ty.byte_size(),
            bytes_per_device: ty.with_dims(shard_shape.clone()).byte_size(),
            shard_shape,
            copies: sharding.copies(),
            reasons: reasons(&sharding),
            split: sharding,
        })
    }
}

/// Deviations in words. That the mesh lacks an axis is worth telling only of what every device holds whole.
fn reasons(sharding: &Sharding) -> Vec<String> {
    if sharding.mesh().num_devices() == 1 {
        return Vec::new();
    }
    let replicated = sharding.is_replicated();
    let told = sharding
        .deviations()
        .iter()
        .filter(|deviation| replicated || deviation.reason != DeviationReason::NoSuchAxis);
    let mut reasons: Vec<String> = told.map(ToString::to_string).collect();
    if replicated && reasons.is_empty() {
        reasons.push("no rule splits it".to_string());
    }
    reasons
}
