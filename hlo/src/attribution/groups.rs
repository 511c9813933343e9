//! Folding model paths into groups that a person can take in.

use serde::Serialize;

/// Rules that fold paths into groups.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct Groups(
    /// The rules; the first that fits counts.
    pub Vec<GroupRule>,
);

/// Paths that begin in some way belong to a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GroupRule {
    /// The first components of the path, with dots between; `*` is any one component.
    pub prefix: String,
    /// Name of the group.
    pub group: String,
}

impl Groups {
    /// Rules by prefix and group.
    pub fn new<'s>(rules: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let rule = |(prefix, group): (&str, &str)| GroupRule {
            prefix: prefix.to_string(),
            group: group.to_string(),
        };
        Self(rules.into_iter().map(rule).collect())
    }

    /// The parts of a decoder-only transformer with Hugging Face's names.
    pub fn transformer() -> Self {
        Self::new([
            ("layers.*.self_attn", "layers.*.attn"),
            ("cache.*", "layers.*.attn"),
            ("layers.*.mlp", "layers.*.mlp"),
            // What is left of a layer: norms and the additions to the residual stream.
            ("layers.*", "layers.*.norm"),
            ("embed_tokens", "embed"),
            ("lm_head", "lm_head"),
            ("norm", "norm"),
        ])
    }

    /// The group of a path: that of the first rule that fits, or else the path's first component.
    pub fn group(&self, path: &str) -> String {
        let components: Vec<&str> = path.split(['.', '/']).collect();
        match self.0.iter().find(|rule| rule.fits(&components)) {
            Some(rule) => rule.group.clone(),
            None => components.first().map_or_else(String::new, ToString::to_string),
        }
    }
}

impl GroupRule {
    fn fits(&self, path: &[&str]) -> bool {
        let mut components = path.iter();
        self.prefix.split('.').all(|expected| {
            components.next().is_some_and(|component| expected == "*" || expected == *component)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fold() {
        let groups = Groups::transformer();
        assert_eq!(groups.group("layers.17.self_attn.q_proj"), "layers.*.attn");
        assert_eq!(groups.group("cache.3.keys"), "layers.*.attn");
        assert_eq!(groups.group("layers.0.mlp.up_proj"), "layers.*.mlp");
        assert_eq!(groups.group("layers.0.input_layernorm"), "layers.*.norm");
        assert_eq!(groups.group("layers.0"), "layers.*.norm");
        assert_eq!(groups.group("lm_head"), "lm_head");
        assert_eq!(groups.group("positions"), "positions");
        assert_eq!(groups.group("decoder/mlp"), "decoder");
        assert_eq!(Groups::new([("decoder.mlp", "mlp")]).group("decoder/mlp/up"), "mlp");
    }
}
