//! What it saves that local layers hold only their windows in the KV cache.

use lapidary_hlo::{Module, Parameter};

use super::parameters::{dimensions, most_slots, slots};

/// Bytes that the KV cache would take beyond its own if every layer held as many positions as the one that holds
/// most.
pub(super) fn saved_bytes(module: &Module, parameters: &[Parameter]) -> u64 {
    let dimensions = dimensions(module);
    let Some(most) = most_slots(&dimensions) else { return 0 };
    let saved = parameters.iter().filter_map(|parameter| {
        let held = slots(&parameter.name, dimensions.get(parameter.name.as_str())?)?;
        parameter.bytes.checked_div(held)?.checked_mul(most - held)
    });
    saved.fold(0, u64::saturating_add)
}
