//! What rules and a mesh come to for one value.

use lapidary_graph::{LogicalAxes, TensorType};

use super::{AxisSplit, AxisUnits, Deviation, DeviationReason, DimSharding, Mesh, Sharding, ShardingRules};

impl ShardingRules {
    /// The sharding of a value of type `ty` whose dimensions have these logical axes, on `mesh`, in a program
    /// of these `units`.
    ///
    /// Dimensions are bound in order, and a mesh axis splits at most one dimension of a value. Where the axis
    /// does not divide a dimension evenly, the dimension is padded if that leaves each device less of it, and
    /// otherwise split over as many devices as divide it, in groups. Axes whose units stay whole, such as
    /// heads, are never padded: the operations that take heads apart would have to move them between devices.
    /// [`Sharding::deviations`] tells what was done.
    pub fn bind(
        &self,
        axes: Option<&LogicalAxes>,
        ty: &TensorType,
        mesh: &Mesh,
        units: &AxisUnits,
    ) -> Sharding {
        let mut sharding = Sharding { mesh: mesh.clone(), dims: Vec::new(), deviations: Vec::new() };
        for (dim, &size) in ty.dims.iter().enumerate() {
            let mut split = DimSharding { size, splits: Vec::new() };
            if let Some(logical) = axes.and_then(|axes| axes.0.get(dim)?.as_deref()) {
                let units = units.in_dimension(logical, size);
                let can_pad = !self.keeps_units_whole(logical);
                for mesh_axis in self.mesh_axes(logical) {
                    if let Some(reason) = sharding.split(&mut split, mesh_axis, units, can_pad) {
                        let (logical, mesh_axis) = (logical.to_string(), mesh_axis.clone());
                        sharding.deviations.push(Deviation { dim, logical, mesh_axis, reason });
                    }
                }
            }
            sharding.dims.push(split);
        }
        sharding
    }
}

impl Sharding {
    /// Splits `dim`, of so many units, over one more mesh axis, and says if that cannot be done evenly.
    fn split(
        &self,
        dim: &mut DimSharding,
        mesh_axis: &str,
        units: usize,
        can_pad: bool,
    ) -> Option<DeviationReason> {
        let Some(devices) = self.mesh.size(mesh_axis) else { return Some(DeviationReason::NoSuchAxis) };
        let takes = |dim: &DimSharding| dim.splits.iter().any(|split| split.axis == mesh_axis);
        if let Some(by) = self.dims.iter().position(takes) {
            return Some(DeviationReason::AxisTaken { by });
        }
        let before = dim.shards();
        let mut push = |shards: usize| dim.splits.push(AxisSplit { axis: mesh_axis.to_string(), shards });
        let shards = before * devices;
        if units.is_multiple_of(shards) || devices == 1 {
            push(devices);
            return None;
        }
        let even = if units.is_multiple_of(before) { common_divisor(units / before, devices) } else { 1 };
        if can_pad && units.div_ceil(shards) < units.div_ceil(before * even) {
            push(devices);
            return Some(DeviationReason::Padded { size: dim.size, padded: dim.padded_size() });
        }
        if even == 1 {
            return Some(DeviationReason::NotDivisible { units, shards });
        }
        push(even);
        Some(DeviationReason::InGroups { units, shards: even, copies: devices / even })
    }
}

/// The greatest common divisor (Euclid's algorithm).
fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use lapidary_graph::DType;

    use super::*;

    fn bind(rules: &ShardingRules, axes: &[&str], dims: &[usize], mesh: &str) -> Sharding {
        let ty = TensorType::new(DType::F32, dims);
        let mesh = mesh.parse().unwrap();
        rules.bind(Some(&LogicalAxes::of(axes)), &ty, &mesh, &AxisUnits::default())
    }

    fn reasons(sharding: &Sharding) -> Vec<(usize, DeviationReason)> {
        sharding.deviations().iter().map(|deviation| (deviation.dim, deviation.reason)).collect()
    }

    /// How often the devices' shards cover each element.
    fn covered(sharding: &Sharding, dims: [usize; 2]) -> Vec<usize> {
        let mut covered = vec![0; dims[0] * dims[1]];
        for device in 0..sharding.mesh().num_devices() {
            let ranges = sharding.shard_ranges(device).unwrap();
            assert!(ranges.iter().zip(sharding.shard_shape()).all(|(range, size)| range.len() <= size));
            for row in ranges[0].clone() {
                for col in ranges[1].clone() {
                    covered[row * dims[1] + col] += 1;
                }
            }
        }
        covered
    }

    #[test]
    fn a_weight_and_an_activation() {
        let rules = ShardingRules::transformer();
        let weight = bind(&rules, &["ffn", ""], &[12, 5], "data=2,model=4");
        assert_eq!((weight.to_string().as_str(), weight.copies()), ("[model, -]", 2));
        assert_eq!(weight.shard_shape(), [3, 5]);
        assert_eq!(weight.shard_ranges(6), Some(vec![6..9, 0..5]));
        assert_eq!(weight.shard_ranges(8), None);
        assert!(!weight.is_replicated());
        let activation = bind(&rules, &["batch", "", "heads"], &[4, 7, 8], "data=2,model=4");
        assert_eq!(activation.shard_ranges(5), Some(vec![2..4, 0..7, 2..4]));
        assert!(activation.deviations().is_empty());
    }

    #[test]
    fn shards_tile_the_value_exactly() {
        let rules = ShardingRules::none().with("rows", &["a", "b"]).with("cols", &["c"]);
        for dims in [[12, 6], [13, 6], [5, 7], [1, 100], [7, 1]] {
            let sharding = bind(&rules, &["rows", "cols"], &dims, "c=3,a=2,b=3");
            let copies = sharding.copies();
            assert!(covered(&sharding, dims).iter().all(|&times| times == copies), "{dims:?} {sharding}");
        }
    }

    #[test]
    fn an_axis_that_does_not_divide_is_padded_where_that_saves_something() {
        let rules = ShardingRules::transformer();
        let vocab = bind(&rules, &["vocab", "embed"], &[256_000, 8], "model=6");
        assert_eq!(vocab.shard_shape(), [42_667, 8]);
        assert_eq!(vocab.padded_shape(), [256_002, 8]);
        assert_eq!(vocab.shard_ranges(5).unwrap()[0], 213_335..256_000);
        assert_eq!(reasons(&vocab), [(0, DeviationReason::Padded { size: 256_000, padded: 256_002 })]);
        // Three rows on four devices: one has none. One row, or two, are better replicated than idle.
        let batch = |rows| bind(&rules, &["batch"], &[rows], "data=4");
        assert_eq!(batch(3).shard_shape(), [1]);
        assert_eq!(batch(3).shard_ranges(3).unwrap()[0], 3..3);
        assert_eq!(reasons(&batch(1)), [(0, DeviationReason::NotDivisible { units: 1, shards: 4 })]);
        assert_eq!(reasons(&batch(2)), [(0, DeviationReason::InGroups { units: 2, shards: 2, copies: 2 })]);
    }

    #[test]
    fn heads_are_replicated_in_groups() {
        let rules = ShardingRules::transformer();
        let cache = bind(&rules, &["batch", "kv_heads", "cache", "head_dim"], &[4, 8, 32, 2], "model=16");
        assert_eq!(cache.to_string(), "[-, model/8, -, -]");
        assert_eq!(cache.copies(), 2);
        for device in 0..16 {
            let head = device / 2;
            assert_eq!(cache.shard_ranges(device).unwrap()[1], head..head + 1);
        }
        let heads = bind(&rules, &["heads"], &[4], "model=3");
        assert_eq!(reasons(&heads), [(0, DeviationReason::NotDivisible { units: 4, shards: 3 })]);
        assert_eq!(bind(&rules, &["heads"], &[4], "model=6").to_string(), "[model/2]");
    }

    #[test]
    fn fused_dimensions_are_cut_between_heads() {
        let rules = ShardingRules::transformer();
        let cache = LogicalAxes::of(&["batch", "kv_heads"]);
        let mut units = AxisUnits::default();
        units.count(&cache, &[3, 2], &rules);
        let (ty, mesh) = (TensorType::new(DType::F32, [2 * 64, 5]), "model=8".parse().unwrap());
        let weight = rules.bind(Some(&LogicalAxes::of(&["kv_heads", "embed"])), &ty, &mesh, &units);
        assert_eq!(weight.shard_shape(), [64, 5]);
        assert_eq!(reasons(&weight), [(0, DeviationReason::InGroups { units: 2, shards: 2, copies: 4 })]);
    }

    #[test]
    fn what_deviates_has_a_reason() {
        let rules = ShardingRules::transformer();
        let twice = bind(&rules, &["batch", "heads", "ffn"], &[4, 8, 8], "model=4");
        assert_eq!(twice.shard_shape(), [4, 2, 8]);
        assert_eq!(
            reasons(&twice),
            [(0, DeviationReason::NoSuchAxis), (2, DeviationReason::AxisTaken { by: 1 })]
        );
        assert_eq!(twice.deviations()[1].to_string(), "`ffn` is whole: dimension 1 is split over `model`");
    }

    #[test]
    fn a_value_without_labels_is_replicated() {
        let mesh: Mesh = "model=4".parse().unwrap();
        let ty = TensorType::new(DType::F32, [8, 8]);
        let sharding = ShardingRules::transformer().bind(None, &ty, &mesh, &AxisUnits::default());
        assert!(sharding.is_replicated());
        assert_eq!(sharding.shard_ranges(3), Some(vec![0..8, 0..8]));
    }
}
