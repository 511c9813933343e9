//! The units of logical axes: what may be cut apart, and what stays together.

use lapidary_graph::{Function, LogicalAxes, Op};

use super::ShardingRules;

/// How many units each logical axis of a program has, for the axes whose units stay whole.
///
/// A weight has the heads and their elements in one dimension, `heads * head_dim`. Such a dimension is cut
/// between heads only, and as often as the activations' own `heads` dimension is, or each layer would have to
/// move its activations from one layout to the other. So the smallest dimension that a program labels with an
/// axis counts the axis's units.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AxisUnits {
    units: Vec<(String, usize)>,
}

impl AxisUnits {
    /// The units of the axes that `rules` keep whole, counted in an entry function.
    pub fn of(entry: &Function, rules: &ShardingRules) -> Self {
        let mut counted = Self::default();
        let params = entry.params.iter().map(|param| (param.value, param.axes.as_ref()));
        let results = entry.results.iter().map(|result| (result.value, result.axes.as_ref()));
        let constrained =
            entry.ops.iter().filter_map(|operation| match (&operation.op, &operation.results[..]) {
                (Op::ShardingConstraint { axes }, &[result]) => Some((result, Some(axes))),
                _ => None,
            });
        for (value, axes) in params.chain(results).chain(constrained) {
            if let (Some(axes), Some(ty)) = (axes, entry.value_type(value)) {
                counted.count(axes, &ty.dims, rules);
            }
        }
        counted
    }

    pub(super) fn count(&mut self, axes: &LogicalAxes, dims: &[usize], rules: &ShardingRules) {
        for (axis, &size) in axes.0.iter().zip(dims) {
            let Some(axis) = axis.as_deref().filter(|axis| rules.keeps_units_whole(axis)) else { continue };
            match self.units.iter_mut().find(|(known, _)| known == axis) {
                Some((_, units)) => *units = size.min(*units),
                None => self.units.push((axis.to_string(), size)),
            }
        }
    }

    /// The number of units in a dimension of `size` elements labelled `axis`.
    pub(super) fn in_dimension(&self, axis: &str, size: usize) -> usize {
        let units = self.units.iter().find(|(known, _)| known == axis).map(|&(_, units)| units);
        units.filter(|&units| units > 0 && size.is_multiple_of(units)).unwrap_or(size)
    }
}
