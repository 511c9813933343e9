//! What becomes of which weight.

use super::levels::Bits;
use super::pattern::Pattern;
use super::{EmbeddingFormat, Group, QuantizeError, QuantizeOptions};
use crate::config::GemmaConfig;
use crate::encoding::{Encoding, Groups};
use crate::weights::{WeightRole, WeightSpec, weight_specs};

/// A weight, and how it will be stored.
pub(super) struct Step {
    pub(super) spec: WeightSpec,
    pub(super) encoding: Encoding,
}

impl Step {
    /// What the weight is in any layer.
    pub(super) fn kind(&self) -> &'static str {
        if is_matrix(&self.spec) { self.spec.role.leaf() } else { "norms" }
    }
}

/// Decides on every weight of a model, in the order of [`weight_specs`].
///
/// # Errors
/// If a pattern matches nothing, or a weight's inputs cannot be grouped or packed as they should.
pub(super) fn recipe(config: &GemmaConfig, options: &QuantizeOptions) -> Result<Vec<Step>, QuantizeError> {
    let specs = weight_specs(config);
    for pattern in options.keep.iter().chain(&options.int8) {
        let mut modules = specs.iter().filter(|spec| is_matrix(spec)).map(module);
        if !modules.clone().any(|module| pattern.matches(module)) {
            let near = pattern.nearest(&mut modules);
            return Err(QuantizeError::UnmatchedPattern { pattern: pattern.clone(), near });
        }
    }
    specs
        .into_iter()
        .map(|spec| {
            let encoding = match codes_of(&spec, options) {
                None => Encoding::Dense,
                Some((bits, group)) => encoding(&spec, bits, group, options)?,
            };
            Ok(Step { spec, encoding })
        })
        .collect()
}

/// The size of a weight's codes, and which of them share a scale; `None` for a weight that stays as it is.
fn codes_of(spec: &WeightSpec, options: &QuantizeOptions) -> Option<(Bits, Group)> {
    const BYTE_PER_CHANNEL: (Bits, Group) = (Bits::Eight, Group::Channel);

    let meant = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(module(spec)));
    if !is_matrix(spec) || meant(&options.keep) {
        return None;
    }
    if options.bits == Bits::Four && meant(&options.int8) {
        return Some(BYTE_PER_CHANNEL);
    }
    if spec.role != WeightRole::Embedding {
        return Some((options.bits, options.group_of(options.bits)));
    }
    match options.embedding {
        EmbeddingFormat::Keep => None,
        EmbeddingFormat::Int8 => Some(BYTE_PER_CHANNEL),
        EmbeddingFormat::Int4 => Some((Bits::Four, options.group_of(Bits::Four))),
    }
}

fn encoding(
    spec: &WeightSpec,
    bits: Bits,
    group: Group,
    options: &QuantizeOptions,
) -> Result<Encoding, QuantizeError> {
    /// Words of `weight_packed` hold eight codes, and a row begins with a word.
    const CODES_PER_WORD: usize = 8;

    let inputs = spec.dims.last().copied().unwrap_or(0);
    let size = match group {
        Group::Channel => inputs,
        Group::Of(size) => size,
    };
    if size == 0 || !inputs.is_multiple_of(size) {
        return Err(QuantizeError::Group { tensor: spec.name.clone(), inputs, group: size });
    }
    let groups = Groups { size, scales: options.scale_dtype, offsets: false };
    match bits {
        Bits::Eight => Ok(Encoding::Int8(groups)),
        Bits::Four if !inputs.is_multiple_of(CODES_PER_WORD) => {
            Err(QuantizeError::Packing { tensor: spec.name.clone(), inputs })
        }
        Bits::Four => Ok(Encoding::Int4(groups)),
    }
}

fn module(spec: &WeightSpec) -> &str {
    spec.name.strip_suffix(".weight").unwrap_or(&spec.name)
}

/// Norms are vectors, and stay as they are: they are a millionth of a model, and scale everything that passes.
fn is_matrix(spec: &WeightSpec) -> bool {
    spec.dims.len() == 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::StoredDtype;

    fn config() -> GemmaConfig {
        GemmaConfig::named("gemma2-2b").unwrap()
    }

    fn encodings(options: &QuantizeOptions) -> impl Fn(&str) -> Encoding + use<> {
        let steps = recipe(&config(), options).unwrap();
        move |module| steps.iter().find(|step| super::module(&step.spec) == module).unwrap().encoding
    }

    const fn groups(size: usize) -> Groups {
        Groups { size, scales: StoredDtype::Bf16, offsets: false }
    }

    const DOWN: &str = "model.layers.3.mlp.down_proj";
    const EMBEDDING: &str = "model.embed_tokens";

    #[test]
    fn defaults() {
        let four = encodings(&QuantizeOptions::new(Bits::Four));
        assert_eq!(four(DOWN), Encoding::Int4(groups(64)));
        assert_eq!(four(EMBEDDING), Encoding::Int8(groups(2304)));
        assert_eq!(four("model.layers.3.input_layernorm"), Encoding::Dense);
        assert_eq!(four("model.norm"), Encoding::Dense);
        let eight = encodings(&QuantizeOptions::new(Bits::Eight));
        assert_eq!(eight(DOWN), Encoding::Int8(groups(9216)));
        assert_eq!(eight(EMBEDDING), Encoding::Int8(groups(2304)));
    }

    #[test]
    fn exceptions() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let options = QuantizeOptions {
            group: Some(Group::Of(128)),
            embedding: EmbeddingFormat::Int4,
            keep: patterns(&["*.layers.3.*"]),
            int8: patterns(&["*.down_proj"]),
            ..QuantizeOptions::new(Bits::Four)
        };
        let encoding = encodings(&options);
        assert_eq!(encoding(DOWN), Encoding::Dense, "what is kept is kept, whatever else is said");
        assert_eq!(encoding("model.layers.4.mlp.down_proj"), Encoding::Int8(groups(9216)));
        for module in ["model.layers.4.mlp.up_proj", EMBEDDING] {
            assert_eq!(encoding(module), Encoding::Int4(groups(128)));
        }
        let kept = QuantizeOptions { embedding: EmbeddingFormat::Keep, ..QuantizeOptions::new(Bits::Eight) };
        assert_eq!(encodings(&kept)(EMBEDDING), Encoding::Dense);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let patterns = |text: &str| vec![text.parse().unwrap()];
        for (pattern, near) in
            [("*.dwn_proj", "*.down_proj"), ("*norm*", ""), ("model.embed_token", EMBEDDING)]
        {
            let options = QuantizeOptions { keep: patterns(pattern), ..QuantizeOptions::new(Bits::Four) };
            let error = recipe(&config(), &options).err().unwrap().to_string();
            assert!(error.contains(pattern) && error.contains(near), "{error}");
        }
        for (group, part) in [(0, "groups of 0"), (100, "2304 inputs")] {
            let options =
                QuantizeOptions { group: Some(Group::Of(group)), ..QuantizeOptions::new(Bits::Four) };
            let error = recipe(&config(), &options).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
        let odd = GemmaConfig { hidden_size: 36, ..GemmaConfig::tiny() };
        let options = QuantizeOptions { group: Some(Group::Channel), ..QuantizeOptions::new(Bits::Four) };
        let error = recipe(&odd, &options).err().unwrap().to_string();
        assert!(error.contains("36 inputs") && error.contains("--int8"), "{error}");
    }
}
