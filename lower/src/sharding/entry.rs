//! Shardings of a program's parameters and results.

use lapidary_graph::{DType, Function, LogicalAxes, TensorType};

use super::{AxisUnits, Mesh, Sharding, ShardingRules};

/// How the parameters and results of an entry function are split over a mesh.
///
/// The program text says the same, so this is what a caller's buffers must be: each of the shape
/// [`Sharding::shard_shape`], with [`Sharding::shard_ranges`] of the value at its start and zeros after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryShardings {
    /// One sharding a parameter.
    pub params: Vec<Sharding>,
    /// One sharding a result.
    pub results: Vec<Sharding>,
}

/// The shardings of `entry`'s parameters and results. What has no logical axes is replicated, except that a
/// result which takes over a donated parameter's buffer is split as the parameter is.
pub fn entry_shardings(entry: &Function, mesh: &Mesh, rules: &ShardingRules) -> EntryShardings {
    let units = AxisUnits::of(entry, rules);
    let bind = |value, axes: Option<&LogicalAxes>| {
        let scalar = TensorType::scalar(DType::Pred);
        rules.bind(axes, entry.value_type(value).unwrap_or(&scalar), mesh, &units)
    };
    let donor_axes = |result: usize| {
        entry.params.iter().find(|param| param.donated_to == Some(result)).and_then(|p| p.axes.as_ref())
    };
    EntryShardings {
        params: entry.params.iter().map(|param| bind(param.value, param.axes.as_ref())).collect(),
        results: entry
            .results
            .iter()
            .enumerate()
            .map(|(i, result)| bind(result.value, result.axes.as_ref().or_else(|| donor_axes(i))))
            .collect(),
    }
}
