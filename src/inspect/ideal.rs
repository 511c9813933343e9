//! The matrix products that a model asks for, from the names and shapes of its program's parameters.
//!
//! `rows` are the tokens of a step on one device. A matrix `[out, in]` of a layer takes `2 rows out in` operations,
//! attention over the `slots` of a layer's cache `4 rows q slots` (scores and mixture, `q` being the rows of the query
//! projection), and the embedding, as the projection to logits, `2 elements` for each row that there are logits of. A
//! step of several tokens sees a ring beside its own tokens; of more than a block of them, what a block's window can reach.

use lapidary_graph::nn;
use lapidary_hlo::{Module, Shape};

use super::parameters::{dimensions, most_slots};

/// How the names of codes of 4 bits end.
const PACKED: &str = ".weight_packed";

/// Operations of one run on one device; `None` if the parameters are not those of this package's programs.
pub(super) fn matrix_flops(module: &Module) -> Option<u64> {
    let dimensions = dimensions(module);
    let &[batch, step] = *dimensions.get("tokens")? else { return None };
    let rows = batch.saturating_mul(step);
    let (vocabulary, width) = dimensions.iter().find_map(|(name, shape)| {
        let is_embedding = weight_module(name)? == "model.embed_tokens";
        is_embedding.then(|| matrix(name, shape))?
    })?;
    let logits = logits_rows(module, vocabulary).unwrap_or(rows);
    let mut flops = product(&[2, logits, vocabulary, width]);
    let block = nn::QUERY_BLOCK as u64;
    let most_slots = most_slots(&dimensions)?;
    for (name, shape) in &dimensions {
        let Some((layer, weight)) = layer_weight(name) else { continue };
        let Some((out, within)) = matrix(name, shape) else { continue };
        flops = flops.saturating_add(product(&[2, rows, out, within]));
        if weight == "self_attn.q_proj" {
            let cache = dimensions.get(format!("cache.{layer}.keys").as_str())?;
            let slots = match *cache.get(2)? {
                slots if slots < most_slots && step > 1 => slots.saturating_add(step.min(block)),
                slots => slots,
            };
            flops = flops.saturating_add(product(&[4, rows, out, slots]));
        }
    }
    Some(flops)
}

/// `model.norm` of `model.norm.weight`, and of the name of codes; `None` of scales, or of what is no weight.
fn weight_module(name: &str) -> Option<&str> {
    name.strip_suffix(".weight").or_else(|| name.strip_suffix(PACKED))
}

/// Outputs and inputs of a matrix, which may be codes: by groups `[groups, out, group]`, or two in each byte.
fn matrix(name: &str, shape: &[u64]) -> Option<(u64, u64)> {
    match *shape {
        [out, within] if name.ends_with(PACKED) => Some((out, within.saturating_mul(2))),
        [out, within] => Some((out, within)),
        [groups, out, group] => Some((out, groups.saturating_mul(group))),
        _ => None,
    }
}

/// `7`, `mlp.up_proj` of `model.layers.7.mlp.up_proj.weight`.
fn layer_weight(name: &str) -> Option<(u64, &str)> {
    let (layer, weight) = weight_module(name)?.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, weight))
}

/// Rows of the result that has one logit for each of the device's rows of the embedding; `None` if no result has, as
/// those of scoring have not.
fn logits_rows(module: &Module, vocabulary: u64) -> Option<u64> {
    let shape = &module.entry().root().shape;
    let mut results = match shape {
        Shape::Tuple(parts) => parts.iter().collect::<Vec<_>>(),
        Shape::Array(_) => vec![shape],
    }
    .into_iter()
    .filter_map(Shape::as_array);
    let logits = results.find(|result| result.dimensions.last() == Some(&vocabulary))?;
    logits.elements().checked_div(vocabulary)
}

fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(factor))
}
