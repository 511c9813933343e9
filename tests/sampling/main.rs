//! Choosing tokens on the device: what the CPU plugin makes of it, on one device and on several, and the engine's
//! generations with one step a dispatch and with many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/absent_tpu.rs"]
mod absent_tpu;
mod choices;
mod collectives;
mod generation;
#[path = "../support/plugin.rs"]
mod plugin_file;
#[path = "../../graph/tests/support/sampling_reference.rs"]
mod sampling_reference;

use lapidary::runtime::{Client, ClientOptions, Plugin};

/// A client of the CPU plugin with some virtual devices; `None`, said aloud, where the plugin is missing outside CI.
fn cpu_devices(count: i64) -> Option<Client> {
    let plugin = Plugin::load(plugin_file::cpu_plugin()?).unwrap();
    Some(Client::create(&plugin, &ClientOptions::new().cpu_device_count(count)).unwrap())
}
