//! Loading plugins, creating clients, and topologies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use lapidary_runtime::{
    Attributes, Client, ClientOptions, Error, MIN_API_MINOR, Plugin, Topology, Value, ValueKind,
};

#[test]
fn files_that_are_not_plugins_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Plugin::load(directory.path().join("missing.so")).unwrap_err();
    assert!(matches!(missing, Error::PluginNotReadable { .. }), "{missing}");

    let text = directory.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    let text = Plugin::load(text).unwrap_err();
    assert!(matches!(text, Error::PluginNotLoadable { .. }), "{text}");
    let empty = directory.path().join("empty.so");
    std::fs::write(&empty, "").unwrap();
    let empty = Plugin::load(empty).unwrap_err();
    assert!(matches!(empty, Error::PluginNotLoadable { .. }), "{empty}");

    let directory = Plugin::load(directory.path()).unwrap_err();
    assert!(matches!(directory, Error::PluginNotLoadable { .. }), "{directory}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_library_that_is_no_plugin_is_named() {
    // Every Linux process has the C library mapped, wherever its distribution keeps it.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let libc = libc.into_iter().find(|path| path.contains("libc.so") || path.contains("libc-")).unwrap();
    let error = Plugin::load(libc).unwrap_err();
    assert!(matches!(error, Error::NotAPlugin { .. }), "{error}");
    assert!(error.to_string().contains("GetPjrtApi"), "{error}");
}

#[test]
fn a_plugin_is_loaded_and_initialised_once() {
    let Some(plugin) = common::cpu_plugin() else { return };
    let again = Plugin::load(plugin.path()).unwrap();
    assert_eq!(plugin.api_version(), again.api_version());
    assert_eq!(plugin.api_version().major, 0);
    assert!(plugin.api_version().minor >= MIN_API_MINOR);
    let Some(Value::Ints(stablehlo)) = plugin.attributes().get("stablehlo_current_version") else {
        panic!("{:?}", plugin.attributes());
    };
    assert!(stablehlo.as_slice() >= [1, 13].as_slice(), "{stablehlo:?}");
}

#[test]
fn a_client_lists_its_devices() {
    let client = require_cpu_client!();
    assert_eq!(client.platform_name(), "cpu");
    assert_eq!(client.process_index(), 0);
    assert_eq!(client.devices().len(), common::CPU_DEVICES);
    assert_eq!(client.addressable_devices().len(), common::CPU_DEVICES);
    let device = client.device(3).unwrap();
    assert_eq!((device.id(), device.description().process_index), (3, 0));
    assert_eq!(device.description().kind, "cpu");
    assert!(device.is_addressable());
    assert_eq!(device.local_hardware_id().unwrap(), Some(3));
    assert_eq!(device.default_memory().unwrap().kind, "device");
    assert!(device.memories().unwrap().len() > 1);
    assert_eq!(device.memory_stats().unwrap(), None, "the CPU plugin does not count");
    let error = client.device(8).unwrap_err().to_string();
    assert!(error.contains("8 devices have ids 0 to 7"), "{error}");
}

#[test]
fn options_that_would_end_the_process_or_be_ignored_are_refused() {
    let Some(plugin) = common::cpu_plugin() else { return };
    let create = |options: ClientOptions| Client::create(&plugin, &options).unwrap_err();
    let error = create(ClientOptions::new().set("cpu_device_count", "8"));
    assert!(matches!(error, Error::OptionType { expected: ValueKind::Int, .. }), "{error}");
    assert_eq!(error.to_string(), "option `cpu_device_count` takes an integer, but was given \"8\"");
    let error = create(ClientOptions::new().cpu_device_count(0));
    assert!(matches!(error, Error::OptionRange { .. }), "{error}");
    let error = create(ClientOptions::new().set("cpu_device_cuont", 8i64));
    assert!(matches!(error, Error::UnknownOption { .. }), "{error}");
    let error = create(ClientOptions::new().set("a\0b", true));
    assert!(matches!(error, Error::NulByte { .. }), "{error}");
}

#[test]
fn several_clients_live_side_by_side() {
    let Some(plugin) = common::cpu_plugin() else { return };
    let clients = [1, 2, 3]
        .map(|count| Client::create(&plugin, &ClientOptions::new().cpu_device_count(count)).unwrap());
    for (client, count) in clients.iter().zip(1..) {
        assert_eq!(client.devices().len(), count);
    }
    let foreign =
        clients[0].buffer_from_host(&[0], lapidary_runtime::ElementType::U8, &[1], &clients[1].devices()[0]);
    assert!(matches!(foreign, Err(Error::ForeignClient { .. })));
}

#[test]
fn the_cpu_has_no_topologies() {
    let Some(plugin) = common::cpu_plugin() else { return };
    let error = Topology::create(&plugin, "2x2", &Attributes::new()).unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    let ill_typed = Attributes::from([("num_slices".to_owned(), Value::Bool(true))]);
    let error = Topology::create(&plugin, "2x2", &ill_typed).unwrap_err();
    assert!(matches!(error, Error::OptionType { .. }), "{error}");
}
