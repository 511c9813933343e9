//! The TPU plugin without a TPU: a compiler, and a source of topologies.
//!
//! The plugin reads environment variables while it loads, so that what uses it runs in a child process that has
//! them: an ignored test of the same binary.

#![allow(dead_code)]

use std::process::{Command, Stdio};

use lapidary::runtime::plugins::PluginKind;
use lapidary::runtime::{Attributes, Plugin, Topology};

use crate::plugin_file;

const PLUGIN: &str = "LAPIDARY_TEST_TPU_PLUGIN";

/// Runs the ignored test `name` where the TPU plugin works; skips, said aloud, where there is no such plugin.
pub fn run_in_child(name: &str) {
    let Some(path) = plugin_file::plugin(PluginKind::Tpu) else { return };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(PLUGIN, path)
        .envs([("TPU_SKIP_MDS_QUERY", "1"), ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")])
        .envs([("TPU_ACCELERATOR_TYPE", "v5p-8"), ("TPU_WORKER_HOSTNAMES", "localhost")])
        .env("TPU_WORKER_ID", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
    println!("{stdout}");
}

/// The plugin, in the child process.
pub fn plugin() -> Plugin {
    Plugin::load(std::env::var_os(PLUGIN).expect("a plugin")).unwrap()
}

/// A topology, in the child process.
pub fn topology(plugin: &Plugin, name: &str, options: &Attributes) -> Topology {
    Topology::create(plugin, name, options).unwrap_or_else(|error| panic!("{name}: {error}"))
}
