//! Whether two models have the same programs.

use lapidary_models::config::GemmaConfig;
use serde_json::{Map, Value};

/// Fields of `config.json` that make no difference to programs: which tokens mean something, and what the weights are
/// stored as; of encodings, programs have more than a config can tell.
const NOT_IN_PROGRAMS: [&str; 5] =
    ["bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "quantization_config"];

/// Fields that a message names.
const NAMED_FIELDS: usize = 3;

/// What differs in `config.json`, with both values, or else in how weights are stored; `None` if the programs are the
/// same.
pub(super) fn differences(bundle: &GemmaConfig, model: &GemmaConfig) -> Option<String> {
    let of_sizes = size_differences(fields(bundle), fields(model));
    of_sizes.or_else(|| bundle.encodings.difference("in the bundle", &model.encodings, "in the model"))
}

fn size_differences(bundle: Map<String, Value>, model: Map<String, Value>) -> Option<String> {
    let names = bundle.keys().chain(model.keys().filter(|name| !bundle.contains_key(*name)));
    let value = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned().unwrap_or_default();
    let differ = names.filter_map(|name| {
        let (bundle, model) = (value(&bundle, name), value(&model, name));
        (bundle != model).then(|| format!("{name} is {bundle} in the bundle and {model} in the model"))
    });
    let differ: Vec<String> = differ.collect();
    let more = match differ.len().saturating_sub(NAMED_FIELDS) {
        0 => String::new(),
        1 => ", and another field differs".to_owned(),
        more => format!(", and {more} more fields differ"),
    };
    let named: Vec<String> = differ.into_iter().take(NAMED_FIELDS).collect();
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

/// What decides programs, in the spelling of this version.
fn fields(config: &GemmaConfig) -> Map<String, Value> {
    // What was just written as JSON can be read.
    let mut fields: Map<String, Value> = serde_json::from_str(&config.to_json()).unwrap_or_default();
    NOT_IN_PROGRAMS.iter().for_each(|name| drop(fields.remove(*name)));
    fields
}

#[cfg(test)]
mod tests {
    use lapidary_models::encoding::{Encodings, WeightScheme};

    use super::*;

    #[test]
    fn sizes_count_and_tokens_do_not() {
        let tiny = GemmaConfig::tiny();
        let mut other = tiny.clone();
        other.eos_token_ids.push(7);
        other.pad_token_id += 1;
        assert_eq!(differences(&tiny, &other), None);
        other.hidden_size += 8;
        let differences = differences(&tiny, &other).unwrap();
        let (bundle, model) = (tiny.hidden_size, other.hidden_size);
        assert_eq!(differences, format!("hidden_size is {bundle} in the bundle and {model} in the model"));
        let larger = GemmaConfig::named("gemma2-2b").map(|config| super::differences(&tiny, &config));
        let larger = larger.unwrap().unwrap();
        assert!(larger.starts_with("vocab_size is ") && larger.ends_with(" more fields differ"), "{larger}");
    }

    #[test]
    fn encodings_count() {
        let tiny = GemmaConfig::tiny();
        let mut other = tiny.clone();
        other.encodings = Encodings::uniform(&tiny, WeightScheme::Int8 { group: None }).unwrap();
        assert_eq!(differences(&other, &other), None);
        let found = differences(&other, &tiny).unwrap();
        assert_eq!(
            found,
            "model.embed_tokens.weight is int8 in groups of 64 with bf16 scales in the bundle and dense in the model, \
             and 14 more weights differ"
        );
    }
}
