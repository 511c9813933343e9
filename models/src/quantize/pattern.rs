//! Patterns over names of weights.

use std::fmt;
use std::str::FromStr;

/// A name with wildcards: `*` stands for any characters, `?` for one. It matches a weight by its tensor's name or by its
/// module's, which lacks `.weight`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// A pattern without a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give the name of a weight, with * for any characters and ? for one")]
pub struct EmptyPattern;

impl FromStr for Pattern {
    type Err = EmptyPattern;

    fn from_str(text: &str) -> Result<Self, EmptyPattern> {
        if text.is_empty() { Err(EmptyPattern) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether the weight of `module` is meant.
    pub(super) fn matches(&self, module: &str) -> bool {
        let without_suffix = self.0.strip_suffix(".weight").unwrap_or(&self.0);
        glob(without_suffix.as_bytes(), module.as_bytes())
            || glob(self.0.as_bytes(), format!("{module}.weight").as_bytes())
    }

    /// The names out of `modules` that are most like it, and how to mean all modules of their kind.
    pub(super) fn nearest<'a>(&self, modules: impl Iterator<Item = &'a str>) -> Vec<String> {
        const SHOWN: usize = 3;
        let text = self.0.strip_suffix(".weight").unwrap_or(&self.0);
        let mut names: Vec<String> = modules
            .flat_map(|module| {
                let kind = module.rsplit_once('.').map(|(_, leaf)| format!("*.{leaf}"));
                kind.into_iter().chain([module.to_owned()])
            })
            .collect();
        names.sort_by(|a, b| {
            let distance = |name: &str| strsim::damerau_levenshtein(text, name);
            distance(a).cmp(&distance(b)).then_with(|| a.cmp(b))
        });
        names.dedup();
        names.truncate(SHOWN);
        names
    }
}

/// Goes back to the last `*` only, which is enough: an earlier one could match nothing that the last could not.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // After the last `*`, and how far the text was read when it stood for as much as it does now.
    let mut retry = None;
    while let Some(character) = text.get(read) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                retry = Some((at, read));
            }
            Some(expected) if expected == character || *expected == b'?' => {
                at += 1;
                read += 1;
            }
            _ => match &mut retry {
                None => return false,
                Some((after, from)) => {
                    *from += 1;
                    (at, read) = (*after, *from);
                }
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|character| *character == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, module: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(module)
    }

    #[test]
    fn wildcards() {
        let module = "model.layers.12.mlp.down_proj";
        for pattern in [
            "*",
            "*.down_proj",
            "*down_proj.weight",
            "model.layers.12.*",
            "model.layers.1?.mlp.*",
            "*.1*.*_proj",
            module,
            "model.layers.12.mlp.down_proj.weight",
            "*.weight",
            "**",
        ] {
            assert!(matches(pattern, module), "{pattern}");
        }
        for pattern in
            ["down_proj", "*.up_proj", "model.layers.1.*", "model.layers.?.*", "*.12", "?", "*proj.bias"]
        {
            assert!(!matches(pattern, module), "{pattern}");
        }
    }

    #[test]
    fn near_names() {
        let modules = ["model.embed_tokens", "model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"];
        let nearest = |pattern: &str| pattern.parse::<Pattern>().unwrap().nearest(modules.into_iter());
        assert_eq!(nearest("*.dwn_proj")[0], "*.down_proj");
        assert_eq!(nearest("model.layers.1.mlp.down_poj.weight")[0], "model.layers.1.mlp.down_proj");
        assert!("".parse::<Pattern>().is_err());
    }
}
