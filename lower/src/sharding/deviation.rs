//! Where a value is not split exactly as the rules ask.

use std::fmt;

/// A dimension that a rule splits over a mesh axis, but that is split otherwise or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deviation {
    /// The dimension.
    pub dim: usize,
    /// Its logical axis.
    pub logical: String,
    /// The mesh axis that the rule names.
    pub mesh_axis: String,
    /// What is done instead.
    pub reason: DeviationReason,
}

/// What becomes of a dimension instead of an even split over a mesh axis, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviationReason {
    /// Whole: the mesh has no such axis.
    NoSuchAxis,
    /// Whole: another dimension of the value is split over the axis.
    AxisTaken {
        /// That dimension.
        by: usize,
    },
    /// Whole: the dimension does not divide into the axis's shards, and padding would save nothing.
    NotDivisible {
        /// Units of the dimension: its size, or the number of heads in it.
        units: usize,
        /// The number of shards it would be cut into.
        shards: usize,
    },
    /// Whole: each index stands for several neighbours along the axis, and shards of the axis would cut them apart.
    CutsBlocks {
        /// How many neighbours an index stands for.
        block: usize,
        /// How many a shard has.
        shard: usize,
    },
    /// Split over the major part of the axis, each shard being on several neighbouring devices.
    InGroups {
        /// Units of the dimension: its size, or the number of heads in it.
        units: usize,
        /// The number of shards that the axis cuts the dimension into.
        shards: usize,
        /// The number of the axis's devices that hold each shard.
        copies: usize,
    },
    /// Split evenly once it is padded with zeros at the end.
    Padded {
        /// The dimension's size.
        size: usize,
        /// Its size with padding.
        padded: usize,
    },
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logical, mesh_axis, .. } = self;
        match self.reason {
            DeviationReason::NoSuchAxis => {
                write!(f, "`{logical}` is whole: the mesh has no axis `{mesh_axis}`")
            }
            DeviationReason::AxisTaken { by } => {
                write!(f, "`{logical}` is whole: dimension {by} is split over `{mesh_axis}`")
            }
            DeviationReason::NotDivisible { units, shards } => {
                write!(f, "`{logical}` is whole over `{mesh_axis}`: {units} is not divisible by {shards}")
            }
            DeviationReason::CutsBlocks { block, shard } => {
                write!(
                    f,
                    "`{logical}` is whole over `{mesh_axis}`: shards of {shard} cut groups of {block} apart"
                )
            }
            DeviationReason::InGroups { units, shards, copies } => write!(
                f,
                "`{logical}`, of {units}, is split over `{mesh_axis}` in {shards} parts, each on {copies} \
                 neighbouring devices"
            ),
            DeviationReason::Padded { size, padded } => {
                write!(f, "`{logical}` is padded from {size} to {padded} for `{mesh_axis}`")
            }
        }
    }
}
