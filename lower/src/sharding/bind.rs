//! What rules and a mesh come to for one value.

use std::ops::Range;

use lapidary_graph::{LogicalAxes, TensorType};

use super::{Mesh, ShardingRules};

/// How one value is split over a mesh.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sharding {
    mesh: Mesh,
    dims: Vec<DimSharding>,
    unsplit: Vec<Unsplit>,
}

/// How one dimension is split.
#[derive(Clone, PartialEq, Eq, Debug)]
struct DimSharding {
    size: usize,
    /// Mesh axes, major to minor; none if every device has the whole dimension.
    mesh_axes: Vec<String>,
}

/// A dimension that a rule would split over a mesh axis, but that is not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsplit {
    /// The dimension.
    pub dim: usize,
    /// Its logical axis.
    pub logical: String,
    /// The mesh axis that the rule names.
    pub mesh_axis: String,
    /// Why it is not split over that axis.
    pub reason: UnsplitReason,
}

/// Why a dimension is not split over a mesh axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnsplitReason {
    /// The mesh has no such axis.
    NoSuchAxis,
    /// Another dimension of the value is split over it.
    AxisTaken,
    /// The dimension's size is not divisible by the number of shards.
    NotDivisible {
        /// The dimension's size.
        size: usize,
        /// The number of shards it would be cut into.
        shards: usize,
    },
}

impl ShardingRules {
    /// The sharding of a value of type `ty` whose dimensions have these logical axes, on `mesh`.
    ///
    /// Dimensions are bound in order. A mesh axis splits at most one dimension of a value, and only one
    /// that it divides evenly; otherwise the dimension stays whole on every device of that axis, and
    /// [`Sharding::unsplit`] says why.
    pub fn bind(&self, axes: Option<&LogicalAxes>, ty: &TensorType, mesh: &Mesh) -> Sharding {
        let mut sharding = Sharding { mesh: mesh.clone(), dims: Vec::new(), unsplit: Vec::new() };
        for (dim, &size) in ty.dims.iter().enumerate() {
            sharding.dims.push(DimSharding { size, mesh_axes: Vec::new() });
            let Some(logical) = axes.and_then(|axes| axes.0.get(dim)?.as_deref()) else { continue };
            for mesh_axis in self.mesh_axes(logical) {
                if let Err(reason) = sharding.split(dim, mesh_axis) {
                    let (logical, mesh_axis) = (logical.to_string(), mesh_axis.clone());
                    sharding.unsplit.push(Unsplit { dim, logical, mesh_axis, reason });
                }
            }
        }
        sharding
    }
}

impl Sharding {
    /// Splits dimension `dim` over one more mesh axis.
    fn split(&mut self, dim: usize, mesh_axis: &str) -> Result<(), UnsplitReason> {
        let axis_size = self.mesh.size(mesh_axis).ok_or(UnsplitReason::NoSuchAxis)?;
        if self.dims.iter().any(|dim| dim.mesh_axes.iter().any(|axis| axis == mesh_axis)) {
            return Err(UnsplitReason::AxisTaken);
        }
        let shards = self.shards(dim) * axis_size;
        if let Some(dim) = self.dims.get_mut(dim) {
            if !dim.size.is_multiple_of(shards) {
                return Err(UnsplitReason::NotDivisible { size: dim.size, shards });
            }
            dim.mesh_axes.push(mesh_axis.to_string());
        }
        Ok(())
    }

    /// The mesh.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The mesh axes that each dimension is split over, major to minor; none for a dimension that every
    /// device has whole.
    pub fn mesh_axes(&self) -> impl Iterator<Item = &[String]> {
        self.dims.iter().map(|dim| dim.mesh_axes.as_slice())
    }

    /// The dimensions that a rule would have split, and why they are whole.
    pub fn unsplit(&self) -> &[Unsplit] {
        &self.unsplit
    }

    /// Whether every device has the whole value.
    pub fn is_replicated(&self) -> bool {
        (0..self.dims.len()).all(|dim| self.shards(dim) == 1)
    }

    /// The dimensions of one device's shard.
    pub fn shard_shape(&self) -> Vec<usize> {
        self.dims.iter().enumerate().map(|(i, dim)| dim.size / self.shards(i)).collect()
    }

    /// The part of the value that device `device` of the mesh holds, as a range of each dimension; `None`
    /// if the mesh has no such device.
    pub fn shard_ranges(&self, device: usize) -> Option<Vec<Range<usize>>> {
        if device >= self.mesh.num_devices() {
            return None;
        }
        let range = |(i, size): (usize, usize)| {
            let dim = self.dims.get(i)?;
            // The shard's number, its digits being the coordinates on the axes from major to minor.
            let index = dim.mesh_axes.iter().try_fold(0, |index, axis| {
                Some(index * self.mesh.size(axis)? + self.mesh.coordinate(device, axis)?)
            })?;
            Some(index * size..(index + 1) * size)
        };
        self.shard_shape().into_iter().enumerate().map(range).collect()
    }

    /// The number of shards that dimension `dim` is cut into.
    fn shards(&self, dim: usize) -> usize {
        let axes = self.dims.get(dim).map_or(&[][..], |dim| &dim.mesh_axes);
        axes.iter().filter_map(|axis| self.mesh.size(axis)).product()
    }
}

#[cfg(test)]
mod tests {
    use lapidary_graph::DType;

    use super::*;

    fn bind(rules: &ShardingRules, axes: &[&str], dims: &[usize], mesh: &str) -> Sharding {
        let ty = TensorType::new(DType::F32, dims);
        rules.bind(Some(&LogicalAxes::of(axes)), &ty, &mesh.parse().unwrap())
    }

    fn axes_of(sharding: &Sharding) -> Vec<Vec<String>> {
        sharding.mesh_axes().map(<[String]>::to_vec).collect()
    }

    #[test]
    fn a_weight_and_an_activation() {
        let rules = ShardingRules::transformer();
        let weight = bind(&rules, &["ffn", ""], &[12, 5], "data=2,model=4");
        assert_eq!(axes_of(&weight), [vec!["model".to_string()], vec![]]);
        assert_eq!(weight.shard_shape(), [3, 5]);
        assert_eq!(weight.shard_ranges(6), Some(vec![6..9, 0..5]));
        assert_eq!(weight.shard_ranges(8), None);
        assert!(!weight.is_replicated());
        let activation = bind(&rules, &["batch", "", "heads"], &[4, 7, 8], "data=2,model=4");
        assert_eq!(activation.shard_ranges(5), Some(vec![2..4, 0..7, 2..4]));
        assert!(activation.unsplit().is_empty());
    }

    #[test]
    fn shards_tile_the_value_exactly() {
        let rules = ShardingRules::none().with("rows", &["a", "b"]).with("cols", &["c"]);
        let sharding = bind(&rules, &["rows", "cols"], &[12, 6], "c=3,a=2,b=3");
        let mut covered = vec![0; 12 * 6];
        for device in 0..18 {
            let ranges = sharding.shard_ranges(device).unwrap();
            assert_eq!(ranges.iter().map(|r| r.len()).collect::<Vec<_>>(), sharding.shard_shape());
            for row in ranges[0].clone() {
                for col in ranges[1].clone() {
                    covered[row * 6 + col] += 1;
                }
            }
        }
        assert!(covered.iter().all(|&times| times == 1), "{covered:?}");
    }

    #[test]
    fn what_is_not_split_has_a_reason() {
        let rules = ShardingRules::transformer();
        let kv = bind(&rules, &["batch", "kv_heads"], &[4, 2], "model=4");
        assert!(kv.is_replicated());
        assert_eq!(
            kv.unsplit().iter().map(|u| (u.dim, u.reason)).collect::<Vec<_>>(),
            [(0, UnsplitReason::NoSuchAxis), (1, UnsplitReason::NotDivisible { size: 2, shards: 4 })]
        );
        let twice = bind(&rules, &["heads", "ffn"], &[8, 8], "model=4");
        assert_eq!(twice.shard_shape(), [2, 8]);
        assert_eq!(twice.unsplit()[0].reason, UnsplitReason::AxisTaken);
    }

    #[test]
    fn a_value_without_labels_is_replicated() {
        let mesh: Mesh = "model=4".parse().unwrap();
        let ty = TensorType::new(DType::F32, [8, 8]);
        let sharding = ShardingRules::transformer().bind(None, &ty, &mesh);
        assert!(sharding.is_replicated());
        assert_eq!(sharding.shard_ranges(3), Some(vec![0..8, 0..8]));
    }
}
