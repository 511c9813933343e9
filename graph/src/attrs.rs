//! Attributes that are open by nature: those of composites and custom calls, and logical axes.

/// One attribute value.
#[derive(Clone, PartialEq, Debug)]
pub enum Attr {
    /// Boolean.
    Bool(bool),
    /// 64-bit signed integer.
    Int(i64),
    /// Double-precision float.
    Float(f64),
    /// Text.
    Str(String),
    /// List of 64-bit signed integers.
    Ints(Vec<i64>),
}

/// Named attributes in a fixed order, so that whatever prints them is deterministic.
pub type Attributes = Vec<(String, Attr)>;

/// The logical axis of each dimension, `None` where a dimension has no name.
///
/// Logical axes say what a dimension means (`batch`, `heads`, `ffn`); which mesh axis it is split over is
/// decided by sharding rules at lowering.
///
/// `ffn/128` names a dimension each of whose indices stands for 128 neighbours along `ffn`, such as the scales of groups
/// of 128 inputs: it is split where `ffn` is split.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LogicalAxes(pub Vec<Option<String>>);

impl LogicalAxes {
    /// Axes from names; an empty name or `_` leaves the dimension unnamed.
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|n| (!n.is_empty() && *n != "_").then(|| n.to_string())).collect())
    }

    /// The name of a dimension each of whose indices stands for `block` neighbours along `axis`.
    pub fn blocks(axis: &str, block: usize) -> String {
        if block == 1 { axis.to_string() } else { format!("{axis}/{block}") }
    }

    /// The axis that a dimension's name is about, and how many neighbours along it each index stands for.
    pub fn axis_and_block(name: &str) -> (&str, usize) {
        let parts = name.rsplit_once('/').and_then(|(axis, block)| Some((axis, block.parse().ok()?)));
        parts.filter(|&(_, block)| block > 0).unwrap_or((name, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_an_axis_are_part_of_a_dimensions_name() {
        assert_eq!(
            (LogicalAxes::blocks("ffn", 128), LogicalAxes::blocks("ffn", 1)),
            ("ffn/128".into(), "ffn".into())
        );
        for (name, expected) in [
            ("ffn/128", ("ffn", 128)),
            ("ffn", ("ffn", 1)),
            ("a/b", ("a/b", 1)),
            ("a/0", ("a/0", 1)),
            ("", ("", 1)),
        ] {
            assert_eq!(LogicalAxes::axis_and_block(name), expected);
        }
    }
}
