//! `quantization_config` of `config.json`, in the words of the compressed-tensors format.

use fancy_regex::Regex;
use serde_json::{Map, Value, json};

use super::{ConfigError, GemmaConfig};
use crate::encoding::{Encoding, Encodings, Groups};
use crate::json::{Fields, excerpt};
use crate::weights::{WeightRole, WeightSpec, weight_specs};

const FIELD: &str = "quantization_config";
const METHOD: &str = "compressed-tensors";
/// Codes of 8 bits, one to an element.
const INT_QUANTIZED: &str = "int-quantized";
/// Codes of 4 or 8 bits in words of 32.
const PACK_QUANTIZED: &str = "pack-quantized";
/// Each group of layers names its own format.
const MIXED: &str = "mixed-precision";
/// The class of all layers but the embedding and the norms.
const LINEAR: &str = "Linear";

const SUPPORTED: &str = "supported is the compressed-tensors method with weights of 4 or 8 bits: symmetric integers, a \
                         scale for each channel or group, in the formats int-quantized and pack-quantized";

/// How weights are stored by the `quantization_config` of a config of these sizes; scales are taken to be of the element
/// type that the config declares.
///
/// # Errors
/// [`ConfigError`], if something else than the storage of weights is described, or not one of those that are read.
pub(super) fn read(fields: &Fields<'_>, config: &GemmaConfig) -> Result<Encodings, ConfigError> {
    let mut encodings = Encodings::default();
    let Some(quantization) = fields.object(FIELD)? else { return Ok(encodings) };
    match quantization.text("quant_method")? {
        Some(METHOD) => {}
        found => return Err(unsupported(format!("of the method `{}`", found.unwrap_or("none")))),
    }
    if let Some(value) = quantization.value("kv_cache_scheme") {
        return Err(unsupported(format!("with a quantized KV cache ({})", excerpt(value))));
    }
    if let Some(sparsity) = quantization.object("sparsity_config")?
        && let Some(format) = sparsity.text("format")?.filter(|format| *format != "dense")
    {
        return Err(unsupported(format!("with sparse weights (`{format}`)")));
    }
    let format = quantization.text("format")?;
    let ignored = patterns(&quantization, "ignore")?;
    let Some(groups) = quantization.value("config_groups").and_then(Value::as_object) else {
        return Err(unsupported("without `config_groups`".to_owned()));
    };
    let mut layers = Vec::with_capacity(groups.len());
    for (name, group) in groups {
        let Value::Object(group) = group else {
            return Err(unsupported(format!("`{name}` {}", excerpt(group))));
        };
        layers.push(Layers::read(&Fields::new(group), format)?);
    }
    for weight in weight_specs(config).iter().filter(|weight| weight.dims.len() == 2) {
        if ignored.iter().any(|pattern| pattern.rank(weight).is_some()) {
            continue;
        }
        // A layer's own name goes before expressions, and these before its class.
        let of = layers.iter().filter_map(|layers| Some((layers.rank(weight)?, layers)));
        if let Some((_, layers)) = of.min_by_key(|(rank, _)| *rank) {
            encodings.set(weight, layers.encoding(weight, config)?);
        }
    }
    Ok(encodings)
}

fn unsupported(value: String) -> ConfigError {
    ConfigError::Unsupported { field: FIELD, value, reason: SUPPORTED }
}

/// An entry of `config_groups`.
struct Layers {
    targets: Vec<Pattern>,
    bits: usize,
    /// Inputs that share a scale; `None` for all of an output.
    group: Option<usize>,
}

impl Layers {
    fn read(fields: &Fields<'_>, format: Option<&str>) -> Result<Self, ConfigError> {
        for field in ["input_activations", "output_activations"] {
            if let Some(value) = fields.value(field) {
                return Err(unsupported(format!(
                    "with quantized activations (`{field}` {})",
                    excerpt(value)
                )));
            }
        }
        let targets = patterns(fields, "targets")?;
        let Some(weights) = fields.object("weights")? else {
            return Err(unsupported("with layers whose `weights` are not described".to_owned()));
        };
        let (bits, kind) = (weights.size("num_bits")?.unwrap_or(8), weights.text("type")?.unwrap_or("int"));
        let format = fields.text("format")?.or(format).filter(|format| *format != MIXED);
        match (bits, format) {
            (_, _) if kind != "int" => return Err(unsupported(format!("with weights of the type `{kind}`"))),
            (8, None | Some(INT_QUANTIZED | PACK_QUANTIZED)) | (4, None | Some(PACK_QUANTIZED)) => {}
            (bits, format) => {
                let format = format.unwrap_or("none");
                return Err(unsupported(format!("with weights of {bits} bits in the format `{format}`")));
            }
        }
        if weights.boolean("symmetric")? == Some(false) {
            return Err(unsupported("with asymmetric weights".to_owned()));
        }
        // In the order of `weight` or `static`, codes lie where they would without.
        if let Some(order) = weights.value("actorder")
            && ![&json!(false), &json!("weight"), &json!("static")].contains(&order)
        {
            return Err(unsupported(format!(
                "with weights in the order of activations (`actorder` {order})"
            )));
        }
        let strategy = weights.text("strategy")?;
        let group = match (strategy, weights.size("group_size")?) {
            (Some("group") | None, Some(size)) if size > 0 => Some(size),
            (Some("channel"), _) => None,
            (strategy, _) => {
                return Err(unsupported(format!("with the strategy `{}`", strategy.unwrap_or("tensor"))));
            }
        };
        Ok(Self { targets, bits, group })
    }

    /// How exactly a target names the layer of a weight; `None` if none does.
    fn rank(&self, weight: &WeightSpec) -> Option<Rank> {
        self.targets.iter().filter_map(|target| target.rank(weight)).min()
    }

    fn encoding(&self, weight: &WeightSpec, config: &GemmaConfig) -> Result<Encoding, ConfigError> {
        let inputs = weight.dims.last().copied().unwrap_or(0);
        let size = self.group.unwrap_or(inputs);
        if !inputs.is_multiple_of(size.max(1)) || (self.bits == 4 && !size.is_multiple_of(2)) {
            let name = &weight.name;
            let value =
                format!("with groups of {size}, which do not evenly divide the {inputs} inputs of `{name}`");
            return Err(unsupported(value));
        }
        let groups = Groups { size, scales: config.checkpoint_dtype, offsets: false };
        Ok(if self.bits == 4 { Encoding::Int4(groups) } else { Encoding::Int8(groups) })
    }
}

/// What names layers: their class, their own name, or an expression that the name begins with.
enum Pattern {
    Text(String),
    Expression(Regex),
}

fn patterns(fields: &Fields<'_>, field: &'static str) -> Result<Vec<Pattern>, ConfigError> {
    let read = |value: &Value| {
        let pattern = match value.as_str() {
            None => None,
            Some(text) => match text.strip_prefix("re:") {
                None => Some(Pattern::Text(text.to_owned())),
                Some(expression) => Regex::new(&format!("^(?:{expression})")).ok().map(Pattern::Expression),
            },
        };
        pattern.ok_or_else(|| unsupported(format!("with `{field}` {}", excerpt(value))))
    };
    fields.list(field)?.into_iter().flatten().map(read).collect()
}

/// How exactly a pattern names a layer, the most exact first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Name,
    Expression,
    Class,
}

impl Pattern {
    fn rank(&self, weight: &WeightSpec) -> Option<Rank> {
        let module = module(weight);
        match self {
            Self::Text(text) if text == module => Some(Rank::Name),
            Self::Text(text) => (text == class(weight.role)).then_some(Rank::Class),
            // An expression that takes too long to decide names nothing.
            Self::Expression(expression) => {
                expression.is_match(module).unwrap_or(false).then_some(Rank::Expression)
            }
        }
    }
}

/// The name of the layer that a weight belongs to.
fn module(weight: &WeightSpec) -> &str {
    weight.name.strip_suffix(".weight").unwrap_or(&weight.name)
}

/// The class that a layer is in torch.
fn class(role: WeightRole) -> &'static str {
    match role {
        WeightRole::Embedding => "Embedding",
        WeightRole::Query
        | WeightRole::Key
        | WeightRole::Value
        | WeightRole::AttentionOutput
        | WeightRole::Gate
        | WeightRole::Up
        | WeightRole::Down => LINEAR,
        WeightRole::FinalNorm
        | WeightRole::InputNorm
        | WeightRole::PostAttentionNorm
        | WeightRole::PreFeedforwardNorm
        | WeightRole::PostFeedforwardNorm => "RMSNorm",
    }
}

/// The `quantization_config` that says how the weights of a config are stored; `None` if they are dense, or in a way that
/// the format has no words for.
pub(super) fn write(config: &GemmaConfig) -> Option<Value> {
    let mut layers: Vec<(Key, Vec<WeightSpec>)> = Vec::new();
    let mut dense = Vec::new();
    for weight in weight_specs(config).into_iter().filter(|weight| weight.dims.len() == 2) {
        let encoding = config.encodings.of(&weight);
        let Some((bits, groups)) = encoding.bits().zip(encoding.groups()) else {
            dense.push(weight);
            continue;
        };
        if groups.offsets {
            return None;
        }
        let group = Some(groups.size).filter(|size| weight.dims.last() != Some(size));
        let key = Key { bits, group, class: class(weight.role) };
        match layers.iter_mut().find(|(known, _)| *known == key) {
            Some((_, weights)) => weights.push(weight),
            None => layers.push((key, vec![weight])),
        }
    }
    let formats: Vec<&str> = layers.iter().map(|(key, _)| key.format()).collect();
    let format = match formats.as_slice() {
        [] => return None,
        [first, rest @ ..] if rest.iter().all(|format| format == first) => *first,
        _ => MIXED,
    };
    // What is true of most linear layers is said of their class, and of all others by name.
    let linear = layers.iter().filter(|(key, _)| key.class == LINEAR);
    let usual = linear.max_by_key(|(_, weights)| weights.len()).map(|(key, _)| *key);
    let group = |(number, (key, weights)): (usize, &(Key, Vec<WeightSpec>))| {
        let targets = match usual == Some(*key) {
            true => vec![LINEAR],
            false => weights.iter().map(module).collect(),
        };
        (format!("group_{number}"), key.to_json(&targets))
    };
    let groups: Map<String, Value> = layers.iter().enumerate().map(group).collect();
    // The projection to the logits is no tensor, but to others a layer of the class.
    let linear = dense.iter().filter(|weight| class(weight.role) == LINEAR);
    let ignore: Vec<&str> = linear.map(module).chain(["lm_head"]).collect();
    Some(json!({
        "quant_method": METHOD,
        "format": format,
        "quantization_status": "compressed",
        "config_groups": groups,
        "ignore": ignore,
        "kv_cache_scheme": null,
    }))
}

/// What layers have in common that one entry of `config_groups` describes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    bits: u32,
    /// Inputs that share a scale; `None` for all of an output.
    group: Option<usize>,
    class: &'static str,
}

impl Key {
    fn format(self) -> &'static str {
        if self.bits == 4 { PACK_QUANTIZED } else { INT_QUANTIZED }
    }

    fn to_json(self, targets: &[&str]) -> Value {
        json!({
            "targets": targets,
            "format": self.format(),
            "input_activations": null,
            "output_activations": null,
            "weights": {
                "num_bits": self.bits,
                "type": "int",
                "symmetric": true,
                "dynamic": false,
                "strategy": if self.group.is_some() { "group" } else { "channel" },
                "group_size": self.group,
                "actorder": null,
            },
        })
    }
}

#[cfg(test)]
#[path = "quantization_tests.rs"]
mod tests;
