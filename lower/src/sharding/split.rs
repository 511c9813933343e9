//! How a value is split over a mesh.

use std::fmt;
use std::ops::Range;

use super::{Deviation, Mesh};

/// How one value is split over a mesh.
///
/// Every device's buffer has the shape [`shard_shape`](Self::shard_shape). Where a dimension is cut unevenly,
/// the last shards along it hold less of the value, [`shard_ranges`](Self::shard_ranges), or nothing; what
/// else is in their buffers has no effect on results, and loading writes zeros there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sharding {
    pub(super) mesh: Mesh,
    pub(super) dims: Vec<DimSharding>,
    pub(super) deviations: Vec<Deviation>,
}

/// How one dimension is split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DimSharding {
    /// The dimension's size.
    pub size: usize,
    /// What it is split over, major to minor; empty if every device has the whole dimension.
    pub splits: Vec<AxisSplit>,
}

/// A mesh axis that a dimension is split over, or the major part of one.
///
/// An axis of `n` devices that cuts a dimension into fewer shards leaves each shard on `n / shards`
/// neighbouring devices: the dimension is replicated in groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AxisSplit {
    /// The mesh axis.
    pub axis: String,
    /// The number of shards; divides the axis's size.
    pub shards: usize,
}

impl DimSharding {
    /// The number of shards that the dimension is cut into.
    pub fn shards(&self) -> usize {
        self.splits.iter().map(|split| split.shards).product()
    }

    /// The size of every shard; the last ones are padded up to it where it does not divide the dimension's.
    pub fn shard_size(&self) -> usize {
        self.size.div_ceil(self.shards())
    }

    /// The size of all shards together, padding included.
    pub fn padded_size(&self) -> usize {
        self.shard_size() * self.shards()
    }
}

impl Sharding {
    /// A sharding that is known already, such as one that a file tells of: dimensions as they are split over `mesh`.
    /// `None` if that cannot be: a split over an axis that the mesh lacks or that splits another dimension, or into a
    /// number of shards that does not divide the axis.
    pub fn of_dims(mesh: &Mesh, dims: Vec<DimSharding>) -> Option<Self> {
        let mut taken: Vec<&str> = Vec::new();
        for split in dims.iter().flat_map(|dim| &dim.splits) {
            let devices = mesh.size(&split.axis)?;
            if taken.contains(&split.axis.as_str()) || split.shards == 0 || devices % split.shards != 0 {
                return None;
            }
            taken.push(&split.axis);
        }
        Some(Self { mesh: mesh.clone(), dims, deviations: Vec::new() })
    }

    /// The mesh.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// How each dimension is split.
    pub fn dims(&self) -> &[DimSharding] {
        &self.dims
    }

    /// Where the value is not split exactly as the rules ask, and why.
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    /// Whether every device has the whole value.
    pub fn is_replicated(&self) -> bool {
        self.dims.iter().all(|dim| dim.shards() == 1)
    }

    /// Whether the shards together are larger than the value.
    pub fn is_padded(&self) -> bool {
        self.dims.iter().any(|dim| dim.padded_size() != dim.size)
    }

    /// The number of devices that hold each shard.
    pub fn copies(&self) -> usize {
        let shards: usize = self.dims.iter().map(DimSharding::shards).product();
        self.mesh.num_devices() / shards.max(1)
    }

    /// The dimensions of every device's buffer.
    pub fn shard_shape(&self) -> Vec<usize> {
        self.dims.iter().map(DimSharding::shard_size).collect()
    }

    /// The dimensions of all shards together: the value's own, but for padding.
    pub fn padded_shape(&self) -> Vec<usize> {
        self.dims.iter().map(DimSharding::padded_size).collect()
    }

    /// The part of the value that device `device` of the mesh holds, as a range of each dimension; `None`
    /// if the mesh has no such device.
    ///
    /// A range may be shorter than the shard's dimension, or empty, at the end of a dimension that is cut
    /// unevenly; the part stands at the start of the buffer.
    pub fn shard_ranges(&self, device: usize) -> Option<Vec<Range<usize>>> {
        if device >= self.mesh.num_devices() {
            return None;
        }
        self.dims
            .iter()
            .map(|dim| {
                // The shard's number, its digits being the coordinates on the axes from major to minor.
                let index = dim.splits.iter().try_fold(0, |index, split| {
                    let copies = self.mesh.size(&split.axis)? / split.shards;
                    let digit = self.mesh.coordinate(device, &split.axis)? / copies;
                    Some(index * split.shards + digit)
                })?;
                let bound = |index: usize| (index * dim.shard_size()).min(dim.size);
                Some(bound(index)..bound(index + 1))
            })
            .collect()
    }
}

impl Sharding {
    /// What a dimension is split over: `model`, or `model/4` for an axis whose devices hold each of only 4 shards in
    /// groups, or `data+model`; `-` for nothing.
    pub(super) fn split_text(&self, dim: &DimSharding) -> String {
        let axis = |split: &AxisSplit| match self.mesh.size(&split.axis) {
            Some(size) if size == split.shards => split.axis.clone(),
            _ => format!("{}/{}", split.axis, split.shards),
        };
        match dim.splits.is_empty() {
            true => "-".to_string(),
            false => dim.splits.iter().map(axis).collect::<Vec<_>>().join("+"),
        }
    }
}

impl fmt::Display for Sharding {
    /// `[model, -]`; `model/4` for an axis whose devices hold each of only 4 shards in groups.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims.iter().map(|dim| self.split_text(dim)).collect();
        write!(f, "[{}]", dims.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_on_the_mesh_is_a_sharding() {
        let mesh: Mesh = "data=2,model=4".parse().unwrap();
        let sharding = |splits: &[&[(&str, usize)]]| {
            let split = |&(axis, shards): &(&str, usize)| AxisSplit { axis: axis.to_string(), shards };
            let dim = |splits: &&[(&str, usize)]| DimSharding {
                size: 8,
                splits: splits.iter().map(split).collect(),
            };
            Sharding::of_dims(&mesh, splits.iter().map(dim).collect())
        };
        let split = sharding(&[&[("model", 2)], &[], &[("data", 2)]]).unwrap();
        assert_eq!((split.to_string().as_str(), split.shard_shape()), ("[model/2, -, data]", vec![4, 8, 4]));
        assert_eq!(sharding(&[&[("seq", 2)]]), None, "no such axis");
        assert_eq!(sharding(&[&[("model", 3)]]), None, "4 devices, 3 shards");
        assert_eq!(sharding(&[&[("model", 0)]]), None);
        assert_eq!(sharding(&[&[("model", 4)], &[("model", 4)]]), None, "twice");
    }
}
