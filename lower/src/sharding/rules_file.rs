//! Sharding rules as TOML.
//!
//! ```toml
//! [rules]
//! heads = ["model", "seq"]  # over both, major to minor
//! batch = "data"
//! vocab = []                # on every device
//! ```

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::ShardingRules;
use super::mesh::is_axis_name;

/// Text that gives no sharding rules.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} of the sharding rules: {problem}")]
pub struct RulesError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: RulesProblem,
}

/// What is wrong with a line of sharding rules.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RulesProblem {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// Something beside the table of rules.
    #[error("`{0}` is not known here: rules stand under `[rules]`, such as `heads = \"model\"`")]
    NotRules(String),
    /// A logical axis that no program has.
    #[error("no program has a logical axis `{axis}`: choose among {}", ShardingRules::LOGICAL_AXES.join(", "))]
    UnknownAxis {
        /// The axis.
        axis: String,
    },
    /// A rule that is neither a mesh axis nor a list of them.
    #[error(
        "the rule for `{axis}` is a mesh axis such as \"model\", a list such as [\"model\", \"seq\"], or [] to \
         have it whole on every device"
    )]
    NotMeshAxes {
        /// The logical axis.
        axis: String,
    },
    /// A name that no mesh axis can have.
    #[error("`{name}` cannot be the name of a mesh axis: write a letter, then letters, digits and `_`")]
    NotAName {
        /// The name.
        name: String,
    },
    /// A mesh axis twice in one rule.
    #[error("the rule for `{axis}` names mesh axis `{mesh_axis}` twice")]
    Twice {
        /// The logical axis.
        axis: String,
        /// The mesh axis.
        mesh_axis: String,
    },
}

impl ShardingRules {
    /// The rules of [`transformer`](Self::transformer), with those that `text` gives in place of the default
    /// ones. A rule for `batch` is one for `cache_batch` too, unless that has its own.
    ///
    /// # Errors
    /// If the text is not a table `rules` of logical axes and mesh axes; the error names the line.
    pub fn from_toml(text: &str) -> Result<Self, RulesError> {
        let at = |span: Range<usize>, problem| RulesError { line: line_of(text, span.start), problem };
        let file = DeTable::parse(text).map_err(|error| {
            at(error.span().unwrap_or(0..0), RulesProblem::Syntax(error.message().to_string()))
        })?;
        let mut rules = Self::transformer();
        for (key, value) in file.get_ref() {
            let DeValue::Table(table) = value.get_ref() else {
                return Err(at(key.span(), RulesProblem::NotRules(key.get_ref().to_string())));
            };
            if key.get_ref() != "rules" {
                return Err(at(key.span(), RulesProblem::NotRules(key.get_ref().to_string())));
            }
            for (axis, value) in table {
                let name = axis.get_ref().as_ref();
                if !Self::LOGICAL_AXES.contains(&name) {
                    return Err(at(axis.span(), RulesProblem::UnknownAxis { axis: name.to_string() }));
                }
                let mesh_axes =
                    mesh_axes(name, value.get_ref()).map_err(|problem| at(value.span(), problem))?;
                rules = rules.with(name, &mesh_axes);
                if name == "batch" && !table.contains_key("cache_batch") {
                    rules = rules.with("cache_batch", &mesh_axes);
                }
            }
        }
        Ok(rules)
    }
}

/// The mesh axes of the rule for `axis`.
fn mesh_axes<'v>(axis: &str, value: &'v DeValue<'_>) -> Result<Vec<&'v str>, RulesProblem> {
    let not_axes = || RulesProblem::NotMeshAxes { axis: axis.to_string() };
    let named = match value {
        DeValue::String(name) => vec![name.as_ref()],
        DeValue::Array(names) => {
            names.iter().map(|name| name.get_ref().as_str().ok_or_else(not_axes)).collect::<Result<_, _>>()?
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => return Err(not_axes()),
    };
    for (i, name) in named.iter().enumerate() {
        if !is_axis_name(name) {
            return Err(RulesProblem::NotAName { name: name.to_string() });
        }
        if named.iter().take(i).any(|earlier| earlier == name) {
            return Err(RulesProblem::Twice { axis: axis.to_string(), mesh_axis: name.to_string() });
        }
    }
    Ok(named)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

impl FromStr for ShardingRules {
    type Err = RulesError;

    /// [`ShardingRules::from_toml`].
    fn from_str(text: &str) -> Result<Self, RulesError> {
        Self::from_toml(text)
    }
}

impl fmt::Display for ShardingRules {
    /// TOML, every rule on a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[rules]")?;
        for (logical, mesh_axes) in self.iter() {
            // Mesh axes that no mesh can have are only in rules made by hand, where quotes do no harm.
            match mesh_axes {
                [axis] => writeln!(f, "{logical} = {axis:?}")?,
                axes => writeln!(f, "{logical} = {axes:?}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_replace_the_default_ones() {
        let text =
            "# for long prompts\n[rules]\nheads = [\"model\", \"seq\"]\nvocab = []\ncache = \"model\"\n";
        let rules = ShardingRules::from_toml(text).unwrap();
        assert_eq!(rules.mesh_axes("heads"), ["model", "seq"]);
        assert!(rules.mesh_axes("vocab").is_empty());
        assert_eq!(rules.mesh_axes("cache"), ["model"]);
        assert_eq!(rules.mesh_axes("ffn"), ["model"], "what the file does not name stays");
        assert!(rules.keeps_units_whole("heads"));
        let rows = ShardingRules::from_toml("[rules]\nbatch = \"rows\"").unwrap();
        assert_eq!(rows.mesh_axes("cache_batch"), ["rows"], "the cache's rows are the batch's");
        assert_eq!(ShardingRules::from_toml(""), Ok(ShardingRules::transformer()));
    }

    #[test]
    fn rules_survive_their_text() {
        let replaced = ShardingRules::transformer().with("seq", &[]).with("heads", &["a", "b"]);
        for rules in [ShardingRules::transformer(), replaced] {
            assert_eq!(rules.to_string().parse(), Ok(rules));
        }
        assert!(ShardingRules::transformer().to_string().starts_with("[rules]\nheads = \"model\"\n"));
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| ShardingRules::from_toml(text).unwrap_err().to_string();
        let known = "batch, seq, embed, heads, kv_heads, head_dim, ffn, vocab, cache_batch, cache";
        assert_eq!(
            error("[rules]\nheads = \"model\"\nhaeds = \"model\"\n"),
            format!(
                "line 3 of the sharding rules: no program has a logical axis `haeds`: choose among {known}"
            )
        );
        assert_eq!(
            error("[rules]\nheads = [\"model\", \"data\", \"model\"]"),
            "line 2 of the sharding rules: the rule for `heads` names mesh axis `model` twice"
        );
        assert!(
            error("[rules]\n\nheads = 4").starts_with("line 3 of the sharding rules: the rule for `heads`")
        );
        assert!(error("[rules]\nheads = [4]").contains("[] to have it whole on every device"));
        assert!(
            error("[rules]\nffn = \"two words\"").contains("`two words` cannot be the name of a mesh axis")
        );
        assert!(error("heads = \"model\"").starts_with("line 1 of the sharding rules: `heads` is not known"));
        assert!(
            error("\n[mesh]\nmodel = 4").starts_with("line 2 of the sharding rules: `mesh` is not known")
        );
        assert!(error("[rules]\nheads = \n").starts_with("line 2 of the sharding rules: "), "not TOML");
        assert!(error("[rules]\nheads = \"a\"\nheads = \"b\"").starts_with("line 3 of the sharding rules: "));
    }
}
