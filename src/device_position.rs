//! Where a device is, as its plugin tells it.

use lapidary_lower::sharding::DevicePosition;
use lapidary_runtime::{DeviceDescription, Value};

/// The position of a device; platforms other than TPUs say nothing of it.
pub(crate) fn device_position(description: &DeviceDescription) -> DevicePosition {
    let number = |name: &str| match description.attributes.get(name) {
        Some(Value::Int(number)) => *number,
        _ => 0,
    };
    let coords = match description.attributes.get("coords") {
        Some(Value::Ints(coords)) => coords.clone(),
        _ => Vec::new(),
    };
    let (core, slice) = (number("core_on_chip"), number("slice_index"));
    DevicePosition { id: description.id, coords, core, slice }
}
