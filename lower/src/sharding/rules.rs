//! Which mesh axes a logical axis may be split over.

/// Sharding rules: for a logical axis, the mesh axes that it is split over, major to minor.
///
/// A logical axis without a rule is replicated, and so is one whose mesh axes the mesh lacks.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ShardingRules {
    rules: Vec<(String, Vec<String>)>,
    whole_units: Vec<String>,
}

impl ShardingRules {
    /// No rules: everything is replicated.
    pub fn none() -> Self {
        Self::default()
    }

    /// Tensor, data and sequence parallelism for decoder-only transformers.
    ///
    /// `heads`, `kv_heads`, `ffn` and `vocab` are split over `model` (one all-reduce after attention and
    /// one after the feed-forward block, as in Megatron-LM, arXiv:1909.08053); `batch` over `data`; and, on a
    /// mesh that has such an axis, the KV cache's slots (`cache`) and the tokens of a step (`seq`) over `seq`.
    pub fn transformer() -> Self {
        ["heads", "kv_heads", "ffn", "vocab"]
            .into_iter()
            .fold(Self::none(), |rules, axis| rules.with(axis, &["model"]))
            .with("batch", &["data"])
            .with("cache", &["seq"])
            .with("seq", &["seq"])
            .keeping_units_whole(&["heads", "kv_heads"])
    }

    /// The same rules with `logical` split over `mesh_axes`, whatever it was split over before.
    #[must_use]
    pub fn with(mut self, logical: &str, mesh_axes: &[&str]) -> Self {
        self.rules.retain(|(axis, _)| axis != logical);
        self.rules.push((logical.to_string(), mesh_axes.iter().map(|axis| axis.to_string()).collect()));
        self
    }

    /// The same rules, where the units of these logical axes are never cut nor padded (see [`AxisUnits`]).
    ///
    /// [`AxisUnits`]: super::AxisUnits
    #[must_use]
    pub fn keeping_units_whole(mut self, logical: &[&str]) -> Self {
        self.whole_units = logical.iter().map(|axis| axis.to_string()).collect();
        self
    }

    /// Whether the units of `logical` are never cut nor padded.
    pub fn keeps_units_whole(&self, logical: &str) -> bool {
        self.whole_units.iter().any(|axis| axis == logical)
    }

    /// The mesh axes that `logical` is split over, major to minor.
    pub fn mesh_axes(&self, logical: &str) -> &[String] {
        self.rules.iter().find(|(axis, _)| axis == logical).map_or(&[], |(_, mesh_axes)| mesh_axes)
    }

    /// Every mesh axis that some rule uses, in the order of first use.
    pub fn all_mesh_axes(&self) -> Vec<&str> {
        let mut axes: Vec<&str> = Vec::new();
        for axis in self.rules.iter().flat_map(|(_, mesh_axes)| mesh_axes) {
            if !axes.contains(&axis.as_str()) {
                axes.push(axis);
            }
        }
        axes
    }
}
