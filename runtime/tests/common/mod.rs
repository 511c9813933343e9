//! Finding a plugin for a test, or saying visibly that there is none.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code)]

use std::sync::OnceLock;

use lapidary_runtime::plugins::{self, Environment, PluginKind};
use lapidary_runtime::{Buffer, Client, ClientOptions, Element, ElementType, Plugin};

/// Number of virtual devices of [`cpu_client`].
pub const CPU_DEVICES: usize = 8;

/// The plugin of `kind`. Without one: a failure where `CI` is set, a visible skip elsewhere.
pub fn plugin(kind: PluginKind) -> Option<Plugin> {
    match plugins::find(&Environment::from_process(), kind, None) {
        Ok(found) => Some(Plugin::load(found.path).expect("the plugin loads")),
        Err(error) if std::env::var_os("CI").is_some() => panic!("CI must have every plugin: {error}"),
        Err(error) => {
            // The harness captures only the print macros, so that this reaches the terminal.
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "SKIPPED: no {kind:?} plugin: {error}");
            None
        }
    }
}

/// A CPU client with [`CPU_DEVICES`] devices, shared by all tests of a binary.
pub fn cpu_client() -> Option<Client> {
    static CLIENT: OnceLock<Option<Client>> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            let plugin = plugin(PluginKind::Cpu)?;
            let options = ClientOptions::new().cpu_device_count(CPU_DEVICES as i64);
            Some(Client::create(&plugin, &options).expect("a CPU client"))
        })
        .clone()
}

/// A buffer on the client's first device.
pub fn upload<T: Element>(client: &Client, values: &[T], element_type: ElementType, dims: &[usize]) -> Buffer {
    let device = &client.addressable_devices()[0];
    client.buffer_from_host(bytemuck::cast_slice(values), element_type, dims, device).expect("an upload")
}

/// Ends the test early when there is no CPU plugin.
#[macro_export]
macro_rules! require_cpu_client {
    () => {
        match common::cpu_client() {
            Some(client) => client,
            None => return,
        }
    };
}
