//! Which mesh axes a logical axis may be split over.

use super::Mesh;

/// Sharding rules: for a logical axis, the mesh axes that it is split over, major to minor.
///
/// A logical axis without a rule is replicated, and so is one whose mesh axes the mesh lacks.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ShardingRules {
    rules: Vec<(String, Vec<String>)>,
    whole_units: Vec<String>,
}

/// Rules and a mesh that do not go together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RulesMismatch {
    /// A mesh axis of more than one device that no rule splits anything over.
    #[error(
        "no sharding rule uses mesh axis `{axis}`, so its devices would only hold copies; \
         name it one of: {known}"
    )]
    UnusedMeshAxis {
        /// The axis.
        axis: String,
        /// Mesh axes that the rules use, separated by commas.
        known: String,
    },
    /// A rule other than the default one that names an axis the mesh lacks.
    #[error(
        "the sharding rule for `{logical}` names mesh axis `{mesh_axis}`, but the mesh is `{mesh}`: \
         name one of its axes, or add `{mesh_axis}` to the mesh"
    )]
    NoSuchMeshAxis {
        /// The rule's logical axis.
        logical: String,
        /// The mesh axis that it names.
        mesh_axis: String,
        /// The mesh.
        mesh: Mesh,
    },
}

impl ShardingRules {
    /// Logical axes that the programs of transformers label their values with.
    pub const LOGICAL_AXES: [&str; 10] =
        ["batch", "seq", "embed", "heads", "kv_heads", "head_dim", "ffn", "vocab", "cache_batch", "cache"];

    /// No rules: everything is replicated.
    pub fn none() -> Self {
        Self::default()
    }

    /// Tensor, data and sequence parallelism for decoder-only transformers.
    ///
    /// `heads`, `kv_heads`, `ffn` and `vocab` are split over `model` (one all-reduce after attention and
    /// one after the feed-forward block, as in Megatron-LM, arXiv:1909.08053); `batch`, and with it the rows
    /// of the KV cache (`cache_batch`), over `data`; and, on a mesh that has such an axis, the cache's slots
    /// (`cache`) and the tokens of a step (`seq`) over `seq`.
    pub fn transformer() -> Self {
        ["heads", "kv_heads", "ffn", "vocab"]
            .into_iter()
            .fold(Self::none(), |rules, axis| rules.with(axis, &["model"]))
            .with("batch", &["data"])
            .with("cache_batch", &["data"])
            .with("cache", &["seq"])
            .with("seq", &["seq"])
            .keeping_units_whole(&["heads", "kv_heads"])
    }

    /// The same rules with `logical` split over `mesh_axes`, whatever it was split over before.
    #[must_use]
    pub fn with(mut self, logical: &str, mesh_axes: &[&str]) -> Self {
        let mesh_axes: Vec<String> = mesh_axes.iter().map(|axis| axis.to_string()).collect();
        match self.rules.iter_mut().find(|(axis, _)| axis == logical) {
            Some((_, replaced)) => *replaced = mesh_axes,
            None => self.rules.push((logical.to_string(), mesh_axes)),
        }
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

    /// Every rule: a logical axis and its mesh axes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.rules.iter().map(|(logical, mesh_axes)| (logical.as_str(), mesh_axes.as_slice()))
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

    /// Checks that the rules use every axis of `mesh`, and that it has the axes they name. Rules of
    /// [`transformer`](Self::transformer) may name others: they serve meshes with and without them. On one
    /// device nothing is split, whatever the rules.
    ///
    /// # Errors
    /// If an axis of several devices is unused, or a rule names an absent one.
    pub fn check(&self, mesh: &Mesh) -> Result<(), RulesMismatch> {
        if mesh.num_devices() == 1 {
            return Ok(());
        }
        let known = self.all_mesh_axes();
        for (axis, size) in mesh.axes() {
            if *size > 1 && !known.contains(&axis.as_str()) {
                let (axis, known) = (axis.clone(), known.join(", "));
                return Err(RulesMismatch::UnusedMeshAxis { axis, known });
            }
        }
        let default = Self::transformer();
        for (logical, mesh_axes) in self.iter().filter(|(logical, axes)| default.mesh_axes(logical) != *axes)
        {
            if let Some(absent) = mesh_axes.iter().find(|axis| mesh.size(axis).is_none()) {
                let (logical, mesh_axis) = (logical.to_string(), absent.clone());
                return Err(RulesMismatch::NoSuchMeshAxis { logical, mesh_axis, mesh: mesh.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_go_with_the_mesh() {
        let rules = ShardingRules::transformer();
        let check = |rules: &ShardingRules, mesh: &str| {
            rules.check(&mesh.parse().unwrap()).map_err(|error| error.to_string())
        };
        for mesh in ["model=4", "data=2,model=4", "seq=2,model=2", "data=8", "tensor=1,model=4"] {
            assert_eq!(check(&rules, mesh), Ok(()), "{mesh}");
        }
        assert_eq!(
            check(&rules, "tensor=4").unwrap_err(),
            "no sharding rule uses mesh axis `tensor`, so its devices would only hold copies; \
             name it one of: model, data, seq"
        );
        assert_eq!(check(&rules.clone().with("ffn", &["modle"]), "model=1"), Ok(()), "one device");
        assert_eq!(
            check(&rules.with("ffn", &["modle"]), "model=4").unwrap_err(),
            "the sharding rule for `ffn` names mesh axis `modle`, but the mesh is `model=4`: \
             name one of its axes, or add `modle` to the mesh"
        );
    }
}
