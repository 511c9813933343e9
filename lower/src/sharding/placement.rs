//! Shardings in Shardy's terms.

use std::fmt;

use lapidary_graph::{Function, LogicalAxes, Module, TensorType};

use super::{AxisSplit, AxisUnits, DimSharding, Mesh, Sharding, ShardingRules};
use crate::LowerError;
use crate::mlir::{List, Quoted};

/// A mesh and rules for one module, and the symbol that the mesh has in its text.
pub(crate) struct Placement<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) rules: &'a ShardingRules,
    units: AxisUnits,
    symbol: String,
}

impl<'a> Placement<'a> {
    /// # Errors
    /// If the rules and the mesh do not go together.
    pub(crate) fn new(
        mesh: &'a Mesh,
        rules: &'a ShardingRules,
        module: &Module,
        entry: &Function,
    ) -> Result<Self, LowerError> {
        rules.check(mesh)?;
        // Meshes and functions share one symbol table.
        let mut symbol = "mesh".to_string();
        while module.find(&symbol).is_some() {
            symbol.push('_');
        }
        Ok(Self { mesh, rules, units: AxisUnits::of(entry, rules), symbol })
    }

    pub(crate) fn bind(&self, axes: Option<&LogicalAxes>, ty: &TensorType) -> Sharding {
        self.rules.bind(axes, ty, self.mesh, &self.units)
    }

    /// The mesh's definition, to stand before the functions.
    pub(crate) fn declaration(&self) -> Declaration<'_> {
        Declaration { symbol: &self.symbol, mesh: self.mesh }
    }

    /// A sharding as attributes and constraints spell it.
    pub(crate) fn constraint<'s>(&'s self, sharding: &'s Sharding) -> Constraint<'s> {
        Constraint { symbol: &self.symbol, sharding }
    }
}

/// `sdy.mesh @mesh = <["data"=2, "model"=4]>`.
pub(crate) struct Declaration<'a> {
    symbol: &'a str,
    mesh: &'a Mesh,
}

impl fmt::Display for Declaration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = self.mesh.axes().iter().map(|(name, size)| format!("{}={size}", Quoted(name)));
        write!(f, "sdy.mesh @{} = <{}>", self.symbol, List(&axes.collect::<Vec<_>>()))
    }
}

/// `<@mesh, [{"data"}, {}]>`: every dimension closed, so that propagation splits nothing further.
pub(crate) struct Constraint<'a> {
    symbol: &'a str,
    sharding: &'a Sharding,
}

impl fmt::Display for Constraint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axis = |split: &AxisSplit| {
            let name = Quoted(&split.axis);
            if self.sharding.mesh().size(&split.axis) == Some(split.shards) {
                return name.to_string();
            }
            // A sub-axis: after nothing (1), so many shards; the axis's minor part holds copies.
            format!("{name}:(1){}", split.shards)
        };
        let dim =
            |dim: &DimSharding| format!("{{{}}}", dim.splits.iter().map(axis).collect::<Vec<_>>().join(", "));
        let dims: Vec<String> = self.sharding.dims().iter().map(dim).collect();
        write!(f, "<@{}, {}>", self.symbol, List(&dims))
    }
}
