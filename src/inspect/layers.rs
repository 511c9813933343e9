//! The layers of a program, each by its parts.

use std::collections::BTreeMap;

use lapidary_hlo::{COPIES, CollectiveKind, Report, Roofline};
use serde::Serialize;

use super::Cost;

/// A part of a layer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Projections to queries, keys and values, and from their mixture: everything of attention but the next.
    Attention,
    /// What touches the KV cache: its update, scores and mixture.
    KvCache,
    /// The feed-forward.
    Mlp,
    /// Norms, and the additions to the residual stream.
    Norm,
    /// Copies and changes of layout, wherever in the layer.
    Copies,
}

impl Part {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Attention, Self::KvCache, Self::Mlp, Self::Norm, Self::Copies];

    /// Name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::KvCache => "KV cache",
            Self::Mlp => "MLP",
            Self::Norm => "norms",
            Self::Copies => "copies",
        }
    }

    /// The layer and part that a model path belongs to, if it is in a layer.
    fn of(path: &str) -> Option<(u64, Self)> {
        let mut components = path.split(['.', '/']);
        let root = components.next()?;
        let layer: u64 = components.next()?.parse().ok()?;
        let part = match (root, components.next(), components.next()) {
            ("cache", _, _) | ("layers", Some("self_attn"), Some("attention" | "cache")) => Self::KvCache,
            ("layers", Some("self_attn"), _) => Self::Attention,
            ("layers", Some("mlp"), _) => Self::Mlp,
            ("layers", _, _) => Self::Norm,
            _ => return None,
        };
        Some((layer, part))
    }
}

/// What a layer costs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LayerCost {
    /// Its number.
    pub layer: u64,
    /// Bytes to and from HBM, of all parts.
    pub bytes: u64,
    /// Bytes of the parameters that it reads, each once.
    pub ideal_bytes: u64,
    /// Estimated time in seconds; `None` if the rates are not known.
    pub seconds: Option<f64>,
    /// Its parts, all of [`Part::ALL`] in that order.
    pub parts: Vec<PartCost>,
    /// Its collectives, in the order of the schedule.
    pub collectives: Vec<LayerCollective>,
}

/// What a part of a layer costs.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PartCost {
    /// Which.
    pub part: Part,
    /// What it costs.
    #[serde(flatten)]
    pub cost: Cost,
    /// Bytes of the parameters that it reads, each once.
    pub ideal_bytes: u64,
}

/// A collective of a layer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LayerCollective {
    /// What it does.
    pub kind: CollectiveKind,
    /// The part that it belongs to.
    pub part: Part,
    /// How often it runs.
    pub times: u64,
    /// Bytes that each device ends up with from one run.
    pub bytes: u64,
    /// Whether other instructions may run between its start and its end.
    pub asynchronous: bool,
}

/// The layers of a program by number.
pub(super) fn of(report: &Report, rates: Option<&Roofline>) -> Vec<LayerCost> {
    let mut layers: BTreeMap<u64, LayerCost> = BTreeMap::new();
    for cost in &report.instructions {
        let Some((layer, part)) = cost.path.as_deref().and_then(Part::of) else { continue };
        let part = if cost.group == COPIES { Part::Copies } else { part };
        for each in parts(&mut layers, layer, part) {
            each.cost.add(cost, rates);
        }
    }
    for parameter in &report.parameters {
        let Some((layer, part)) = parameter.path.as_deref().and_then(Part::of) else { continue };
        for each in parts(&mut layers, layer, part) {
            each.ideal_bytes = each.ideal_bytes.saturating_add(parameter.bytes);
        }
    }
    for collective in &report.collectives {
        let Some((layer, part)) = collective.path.as_deref().and_then(Part::of) else { continue };
        let layer = layers.entry(layer).or_insert_with(|| LayerCost::new(layer));
        layer.collectives.push(LayerCollective {
            kind: collective.kind,
            part,
            times: collective.times,
            bytes: collective.bytes,
            asynchronous: collective.asynchronous,
        });
    }
    let mut layers: Vec<LayerCost> = layers.into_values().collect();
    for layer in &mut layers {
        layer.bytes = layer.parts.iter().map(|part| part.cost.bytes).fold(0, u64::saturating_add);
        layer.ideal_bytes = layer.parts.iter().map(|part| part.ideal_bytes).fold(0, u64::saturating_add);
        let seconds = layer.parts.iter().filter_map(|part| part.cost.time).map(|time| time.seconds);
        layer.seconds = rates.map(|_| seconds.sum());
    }
    layers
}

/// The part of a layer, which comes to be if it is not there.
fn parts(
    layers: &mut BTreeMap<u64, LayerCost>,
    layer: u64,
    part: Part,
) -> impl Iterator<Item = &mut PartCost> {
    let layer = layers.entry(layer).or_insert_with(|| LayerCost::new(layer));
    layer.parts.iter_mut().filter(move |each| each.part == part)
}

impl LayerCost {
    fn new(layer: u64) -> Self {
        let part = |part| PartCost { part, cost: Cost::default(), ideal_bytes: 0 };
        Self {
            layer,
            bytes: 0,
            ideal_bytes: 0,
            seconds: None,
            parts: Part::ALL.map(part).to_vec(),
            collectives: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_layers_and_parts() {
        for (path, expected) in [
            ("layers.7.self_attn.q_proj", Some((7, Part::Attention))),
            ("layers.7.self_attn.attention", Some((7, Part::KvCache))),
            ("layers.0.self_attn.cache/scatter", Some((0, Part::KvCache))),
            ("cache.12.keys", Some((12, Part::KvCache))),
            ("layers.1.mlp.up_proj", Some((1, Part::Mlp))),
            ("layers.1.input_layernorm", Some((1, Part::Norm))),
            ("layers.1", Some((1, Part::Norm))),
            ("layers.x.mlp", None),
            ("lm_head", None),
            ("blocks.1.mlp", None),
            ("", None),
        ] {
            assert_eq!(Part::of(path), expected, "{path}");
        }
    }
}
