//! Finding a plugin for a test, or saying visibly that there is none.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use lapidary_runtime::plugins::{self, Environment, PluginKind};
use lapidary_runtime::{
    Buffer, Client, ClientOptions, CompileOptions, Element, ElementType, LoadedExecutable, Plugin, Program,
};

/// Number of virtual devices of [`cpu_client`].
pub(crate) const CPU_DEVICES: usize = 8;

/// A sharded matrix product whose contracted dimension is split, so that it needs an all-reduce.
pub(crate) const SHARDED_DOT: &str = "module @sharded_dot {
  sdy.mesh @mesh = <[\"model\"=8]>
  func.func @main(
      %x: tensor<4x16xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {\"model\"}]>},
      %w: tensor<16x4xf32> {sdy.sharding = #sdy.sharding<@mesh, [{\"model\"}, {}]>})
      -> (tensor<4x4xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}) {
    %y = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0]
        : (tensor<4x16xf32>, tensor<16x4xf32>) -> tensor<4x4xf32>
    return %y : tensor<4x4xf32>
  }
}";

/// Path of the plugin of `kind`. Without one: a visible skip, but a failure if `CI` is set, which has those of CPU and TPU.
pub(crate) fn plugin_path(kind: PluginKind) -> Option<PathBuf> {
    match plugins::find(&Environment::from_process(), kind, None) {
        Ok(found) => Some(found.path),
        Err(error) if kind != PluginKind::Cuda && std::env::var_os("CI").is_some() => {
            panic!("CI must have the {kind} plugin: {error}")
        }
        Err(error) => {
            // The harness captures the print macros only, so that this reaches the terminal.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no {kind} plugin: {error}");
            None
        }
    }
}

/// The CPU plugin, as [`plugin_path`].
pub(crate) fn cpu_plugin() -> Option<Plugin> {
    Some(Plugin::load(plugin_path(PluginKind::Cpu)?).expect("the plugin loads"))
}

/// A CPU client with [`CPU_DEVICES`] devices, shared by all tests of a binary.
pub(crate) fn cpu_client() -> Option<Client> {
    static CLIENT: OnceLock<Option<Client>> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            let plugin = cpu_plugin()?;
            let options = ClientOptions::new().cpu_device_count(CPU_DEVICES as i64);
            Some(Client::create(&plugin, &options).expect("a CPU client"))
        })
        .clone()
}

/// A program for one device.
pub(crate) fn compile(client: &Client, text: &str) -> LoadedExecutable {
    client.compile(&Program::stablehlo(text), &CompileOptions::new()).expect("the program compiles")
}

/// A buffer on the client's first device.
pub(crate) fn upload<T: Element>(
    client: &Client,
    values: &[T],
    element_type: ElementType,
    dims: &[usize],
) -> Buffer {
    upload_to(client, 0, values, element_type, dims)
}

/// A buffer on the client's device number `device`.
pub(crate) fn upload_to<T: Element>(
    client: &Client,
    device: usize,
    values: &[T],
    element_type: ElementType,
    dims: &[usize],
) -> Buffer {
    let device = &client.addressable_devices()[device];
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
