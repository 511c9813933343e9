//! Installs the real CPU plugin through the real pip, into a temporary data directory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io;

use lapidary_runtime::plugins::{
    self, Environment, HOME_VARIABLE, InstallOptions, Package, PluginKind, Progress, Source,
};
use sha2::{Digest, Sha256};

/// Size and SHA-256 of the library inside the pinned wheel.
#[cfg(target_arch = "x86_64")]
const LIBRARY: (u64, &str) =
    (259_284_552, "88c3f28c5900f48ad4a82cab9e79bba9537809743395e341485f8794268820dc");
#[cfg(target_arch = "aarch64")]
const LIBRARY: (u64, &str) =
    (200_328_224, "fcf411f3e8ff635c2b2cf87215aa7016f460e66d236c3db08309e7486583532d");

#[test]
fn the_pinned_cpu_plugin_installs_and_is_found() {
    let home = tempfile::tempdir().unwrap();
    let environment =
        Environment::from_process().with(HOME_VARIABLE, home.path()).with("LAPIDARY_PLUGIN_CPU", "");

    let mut events = Vec::new();
    let plugin = plugins::install(&environment, PluginKind::Cpu, &InstallOptions::default(), &mut |event| {
        events.push(event);
    })
    .unwrap_or_else(|error| panic!("{error}"));

    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut File::open(&plugin.library).unwrap(), &mut hasher).unwrap();
    let sha256: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((bytes, sha256.as_str()), LIBRARY);
    assert_eq!(plugin.library_bytes, bytes);
    assert!(plugin.library.starts_with(home.path()));
    let Some(Progress::Unpacking { bytes, total }) = events.last() else { panic!("{:?}", events.last()) };
    assert_eq!((*bytes, *total), (LIBRARY.0, LIBRARY.0));

    let found = plugins::find(&environment, PluginKind::Cpu, None).unwrap();
    assert_eq!((found.path, found.source), (plugin.library.clone(), Source::Installed));
    assert_eq!(found.version.as_deref(), Some(Package::pinned(PluginKind::Cpu).version));

    assert_eq!(plugins::remove(&environment, PluginKind::Cpu).unwrap(), [plugin]);
    assert_eq!(plugins::installed(&environment).unwrap(), []);
}
