//! What the shapes of a program's parameters tell, where they have the names of this package's programs.

use std::collections::HashMap;

use lapidary_hlo::{Module, Opcode};

/// Dimensions of parameters by name, on one device.
pub(super) type Dimensions<'m> = HashMap<&'m str, &'m [u64]>;

/// The dimensions of all parameters that have a name.
pub(super) fn dimensions(module: &Module) -> Dimensions<'_> {
    let parameters = module.entry().instructions().map(|(_, instruction)| instruction);
    let parameters = parameters.filter(|instruction| instruction.opcode == Opcode::Parameter);
    let named = parameters.filter_map(|parameter| {
        let name = parameter.attributes.metadata.op_name.as_str();
        Some((name, parameter.shape.as_array()?.dimensions.as_slice()))
    });
    named.collect()
}

/// Slots of a cache `[batch, kv_heads, slots, ...]`; `None` if this is no cache.
pub(super) fn slots(name: &str, dimensions: &[u64]) -> Option<u64> {
    name.starts_with("cache.").then(|| dimensions.get(2).copied())?
}

/// Slots of the layer that holds the most positions.
pub(super) fn most_slots(dimensions: &Dimensions<'_>) -> Option<u64> {
    dimensions.iter().filter_map(|(name, shape)| slots(name, shape)).max()
}
