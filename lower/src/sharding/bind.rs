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
    /// A dimension of blocks of an axis (`ffn/128`) is cut where the axis itself is, or not at all if that would cut
    /// a block apart. [`Sharding::deviations`] tells what was done.
    pub fn bind(
        &self,
        axes: Option<&LogicalAxes>,
        ty: &TensorType,
        mesh: &Mesh,
        units: &AxisUnits,
    ) -> Sharding {
        let mut sharding = Sharding { mesh: mesh.clone(), dims: Vec::new(), deviations: Vec::new() };
        for (dim, &size) in ty.dims.iter().enumerate() {
            let whole = DimSharding { size, splits: Vec::new() };
            let name = axes.and_then(|axes| axes.0.get(dim)?.as_deref());
            let split = name.map(|name| self.bind_dim(&mut sharding, dim, (name, size), units));
            sharding.dims.push(split.unwrap_or(whole));
        }
        sharding
    }

    /// The split of dimension `dim` of a value, given its name and size, after the dimensions before it.
    fn bind_dim(
        &self,
        sharding: &mut Sharding,
        dim: usize,
        (name, size): (&str, usize),
        units: &AxisUnits,
    ) -> DimSharding {
        let (logical, block) = LogicalAxes::axis_and_block(name);
        if size == 1 && block > 1 {
            // It stands for the whole axis.
            return DimSharding { size, splits: Vec::new() };
        }
        let elements = size.saturating_mul(block);
        let units = units.in_dimension(logical, elements);
        let can_pad = !self.keeps_units_whole(logical);
        let mut split = DimSharding { size: elements, splits: Vec::new() };
        let mut deviations = Vec::new();
        let deviation = |mesh_axis: &String, reason| {
            let (logical, mesh_axis) = (logical.to_string(), mesh_axis.clone());
            Deviation { dim, logical, mesh_axis, reason }
        };
        for mesh_axis in self.mesh_axes(logical) {
            let reason = sharding.split(&mut split, mesh_axis, units, can_pad);
            deviations.extend(reason.map(|reason| deviation(mesh_axis, reason)));
        }
        let shard = split.shard_size();
        if split.shards() > 1 && !shard.is_multiple_of(block) {
            let cut = split.splits.drain(..).map(|split| split.axis);
            let reason = DeviationReason::CutsBlocks { block, shard };
            deviations = cut.map(|mesh_axis| deviation(&mesh_axis, reason)).collect();
        }
        sharding.deviations.extend(deviations);
        DimSharding { size, ..split }
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
    fn blocks_of_an_axis_are_cut_where_the_axis_is() {
        let rules = ShardingRules::transformer();
        let shard = |name: &str, size, devices: usize| {
            let sharding = bind(&rules, &[name], &[size], &format!("model={devices}"));
            (
                sharding.shard_shape()[0],
                sharding.deviations().iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        };
        // 9216 elements, pairs of them, and groups of 128.
        for (devices, [elements, pairs, groups]) in [(2, [4608, 2304, 36]), (8, [1152, 576, 9])] {
            assert_eq!(shard("ffn", 9216, devices), (elements, vec![]));
            assert_eq!(shard("ffn/2", 4608, devices), (pairs, vec![]));
            assert_eq!(shard("ffn/128", 72, devices), (groups, vec![]));
        }
        let whole = "`ffn` is whole over `model`: shards of 576 cut groups of 128 apart";
        assert_eq!(shard("ffn/128", 72, 16), (72, vec![whole.to_string()]));
        let padded = "`ffn` is padded from 9216 to 9220 for `model`";
        assert_eq!(shard("ffn/2", 4608, 5), (922, vec![padded.to_string()]));
        let whole = "`ffn` is whole over `model`: shards of 1317 cut groups of 2 apart";
        assert_eq!(shard("ffn/2", 4608, 7), (4608, vec![whole.to_string()]));
        // One scale for each output stands for all inputs: there is nothing to split.
        assert_eq!(shard("ffn/9216", 1, 4), (1, vec![]));
    }

    #[test]
    fn blocks_of_heads_leave_the_heads_whole() {
        let rules = ShardingRules::transformer();
        let mut units = AxisUnits::default();
        units.count(&LogicalAxes::of(&["batch", "heads"]), &[3, 8], &rules);
        // Groups of 1024 of eight heads' 2048 elements: they do not count as units.
        units.count(&LogicalAxes::of(&["embed", "heads/1024"]), &[16, 2], &rules);
        for (name, size, shard) in
            [("heads", 2048, 512), ("heads/2", 1024, 256), ("heads/128", 16, 4), ("heads/1024", 2, 2)]
        {
            let (ty, mesh) = (TensorType::new(DType::F32, [size]), "model=4".parse().unwrap());
            let weight = rules.bind(Some(&LogicalAxes::of(&[name])), &ty, &mesh, &units);
            assert_eq!(weight.shard_shape(), [shard], "{name}");
        }
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
