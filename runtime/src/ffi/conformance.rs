//! The bindings' structs against what is known of plugins, and against the plugins that are installed.
//!
//! `tests/data/pjrt_struct_sizes.json` has, for every function and API version, the size that a plugin of
//! that version expects of its argument struct.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use super::abi::{ExecuteOptions, MemoryLayout, MemoryLayoutTiled, NamedValue, Program};
use super::functions::BOUND;
use super::library;
use super::slots::{SLOTS, offset_of_slot};
use crate::Plugin;
use crate::plugins::{self, Environment, PluginKind};

type Sizes = BTreeMap<String, BTreeMap<String, Option<usize>>>;

/// Tells the child process of [`plugins_expect_the_structs_that_are_bound`] which plugin to probe.
const PROBED_PLUGIN: &str = "LAPIDARY_TEST_PROBED_PLUGIN";

fn known_sizes() -> Sizes {
    serde_json::from_str(include_str!("../../tests/data/pjrt_struct_sizes.json")).expect("a table of sizes")
}

/// The size in the C header of 0.81. The CPU plugin of that version checks less than the whole struct in one
/// function, and has no topologies to check in another; newer plugins have the header's size in both.
fn header_size(sizes: &Sizes, function: &str) -> Option<usize> {
    let version = match function {
        "PJRT_Executable_GetCompiledMemoryStats" | "PJRT_TopologyDescription_Create" => "0.112",
        _ => "0.81",
    };
    sizes.get(function)?.get(version).copied().flatten()
}

#[test]
fn structs_have_the_sizes_of_the_c_header() {
    let sizes = known_sizes();
    // The table lacks the functions that return nothing, and so cannot say what they expect.
    let unlisted = ["PJRT_Error_Destroy", "PJRT_Error_Message"];
    for (function, _, size) in BOUND {
        if !unlisted.contains(function) {
            assert_eq!(header_size(&sizes, function), Some(*size), "{function}");
        }
    }
    assert_eq!(NamedValue::STRUCT_SIZE, 56);
    assert_eq!(Program::STRUCT_SIZE, 48);
    assert_eq!(MemoryLayoutTiled::STRUCT_SIZE, 56);
    assert_eq!(MemoryLayout::STRUCT_SIZE, 76);
    assert_eq!(ExecuteOptions::STRUCT_SIZE, 112);
}

#[test]
fn slots_are_where_the_c_header_has_them() {
    assert_eq!(SLOTS.len(), 118);
    assert_eq!(offset_of_slot("PJRT_Error_Destroy"), 40);
    assert_eq!(offset_of_slot("PJRT_Client_Create"), 40 + 10 * 8);
    assert_eq!(offset_of_slot("PJRT_LoadedExecutable_GetDeviceAssignment"), 40 + 117 * 8);
}

/// Calls each bound function with a size that no plugin accepts, and compares the size that the plugin's
/// error asks for. In a child process, since a plugin might not survive it.
#[test]
fn plugins_expect_the_structs_that_are_bound() {
    for kind in PluginKind::ALL {
        let found = match plugins::find(&Environment::from_process(), kind, None) {
            Ok(found) => found,
            // The CPU plugin is the one that every environment can have.
            Err(error) if kind == PluginKind::Cpu && std::env::var_os("CI").is_some() => panic!("{error}"),
            Err(_) => {
                let _ = writeln!(std::io::stderr(), "SKIPPED: no {kind} plugin to compare structs with");
                continue;
            }
        };
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ffi::conformance::probe", "--ignored", "--nocapture"])
            .env(PROBED_PLUGIN, &found.path)
            // A TPU plugin looks for TPUs unless told that there are none to be found.
            .envs([("TPU_SKIP_MDS_QUERY", "1"), ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")])
            .envs([("TPU_ACCELERATOR_TYPE", "v5p-8"), ("TPU_WORKER_HOSTNAMES", "localhost")])
            .env("TPU_WORKER_ID", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && stdout.contains("1 passed"),
            "{kind}: {stdout}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
#[ignore = "the child process of plugins_expect_the_structs_that_are_bound"]
fn probe() {
    let path = std::env::var_os(PROBED_PLUGIN).expect("a plugin to probe");
    let api = library::load(path.as_ref()).expect("the plugin loads");
    let mut differences = Vec::new();
    let mut probed = 0;
    for &(function, offset, size) in BOUND {
        // These two return nothing, so that they cannot answer.
        if ["PJRT_Error_Destroy", "PJRT_Error_Message"].contains(&function) {
            continue;
        }
        // A struct that is larger than any, of which the plugin may read no more than the size.
        let mut args = [0usize; 64];
        args[0] = 1;
        // SAFETY: every function checks the size before it reads anything else.
        let error = unsafe { api.probe(offset, args.as_mut_ptr().cast()) };
        let Some(error) = error else { continue };
        let error = api.check(error, function).unwrap_err();
        if error.is_unsupported() {
            continue;
        }
        let Some(expected) = expected_size(&error.to_string()) else {
            differences.push(format!("{function} does not say what it expects: {error}"));
            continue;
        };
        probed += 1;
        if expected > size {
            differences.push(format!("{function} expects {expected} bytes, but {size} are bound"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(probed > 60, "only {probed} functions answered");
    let plugin = Plugin::load(path).expect("the plugin loads again");
    println!("{probed} functions of PJRT {} agree", plugin.api_version());
}

/// The number in `Unexpected PJRT_X_Args size: expected 24, got 1. ...`.
fn expected_size(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("size: expected ")?;
    let (number, _) = rest.split_once(", got 1")?;
    number.parse().ok()
}
