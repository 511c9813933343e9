//! Names of the files of a model directory, which are Hugging Face's.

/// Architecture and sizes.
pub(crate) const CONFIG: &str = "config.json";
/// How the model is meant to be sampled; optional.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
/// All tensors, where one file holds them.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Which file holds which tensor, where there are several.
pub(crate) const WEIGHTS_INDEX: &str = "model.safetensors.index.json";
/// The tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// Settings of the tokenizer, in which older models keep their chat template.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The chat template, in newer models.
pub(crate) const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// What belongs to a model beside its config and weights, and stays true of the model in fewer bits.
pub(crate) const COMPANIONS: [&str; 11] = [
    GENERATION_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    CHAT_TEMPLATE,
    "chat_template.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "README.md",
    "LICENSE",
    "NOTICE",
];
