//! The report for people.

use std::fmt::Write;
use std::path::Path;

use indicatif::BinaryBytes;
use lapidary::runtime::plugins::PluginKind;

use super::host::{CacheDirectory, Host};
use super::nvidia::{CudaPackage, Nvidia};
use super::probe::{ClientFindings, DeviceFindings, Findings};
use super::{Place, PluginReport, Report, Verdict};
use crate::cli::cache::counted;

/// Width of what stands before the facts.
const LABEL: usize = 11;
/// How far facts about a library are indented.
const NESTED: &str = "      ";

/// The whole report, ending in a line break.
pub fn report(report: &Report) -> String {
    let mut text = format!("Lapidary {}\n\nThis machine\n", report.version);
    for (label, fact) in host_facts(&report.host) {
        line(&mut text, format_args!("  {label:LABEL$}{fact}"));
    }
    for plugin in &report.plugins {
        text.push('\n');
        plugin_section(&mut text, plugin);
    }
    text
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{content}");
}

fn host_facts(host: &Host) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let bytes = |bytes: Option<u64>| bytes.map_or_else(unknown, |bytes| BinaryBytes(bytes).to_string());
    let processor = host.processor.clone().unwrap_or_else(unknown);
    let cores = host.cores.map_or_else(unknown, |cores| cores.to_string());
    let memory = format!("{}, {} available", bytes(host.memory_total), bytes(host.memory_available));
    let path = host.data.path.as_deref().map_or_else(unknown, |path| path.display().to_string());
    let data = match &host.data.problem {
        None => format!("{path} (writable)"),
        Some(problem) => {
            format!("{path}: {problem}; set LAPIDARY_HOME to a directory that you may write to")
        }
    };
    let CacheDirectory { path, executables, bytes: used, max_bytes, problem } = &host.cache;
    let mut cache = path.as_deref().map_or_else(unknown, |path| path.display().to_string());
    cache += &match problem {
        None => format!(" ({}, {} of {})", counted(*executables), BinaryBytes(*used), bytes(*max_bytes)),
        Some(problem) => format!(": {problem}"),
    };
    let python = host.python.clone().unwrap_or_else(|| "no Python found".to_owned());
    let pip = host.pip.clone().unwrap_or_else(|| "no pip found, so no plugin can be installed".to_owned());
    vec![
        ("processor", format!("{processor}, cores: {cores}")),
        ("features", if host.features.is_empty() { unknown() } else { host.features.join(" ") }),
        ("memory", memory),
        ("data", data),
        ("cache", cache),
        ("python", format!("{python}; {pip}")),
    ]
}

fn plugin_section(text: &mut String, plugin: &PluginReport) {
    let hardware = match plugin.kind {
        PluginKind::Cpu => "CPU",
        PluginKind::Tpu => "TPU",
        PluginKind::Cuda => "NVIDIA GPU",
    };
    let absent = format!("no {hardware} is attached");
    let verdict = match (plugin.verdict, plugin.attached) {
        (Verdict::Usable, _) => "works".to_owned(),
        (Verdict::CompilesOnly, _) => format!("{absent}; the plugin loads and can compile"),
        (Verdict::Incomplete, _) => format!("{absent}; the plugin loads, but cannot compile yet"),
        (Verdict::Broken, _) => "DOES NOT WORK".to_owned(),
        (Verdict::Missing, true) => "no plugin".to_owned(),
        (Verdict::Missing, false) => format!("{absent}; no plugin"),
    };
    line(text, format_args!("{hardware}: {verdict}"));
    if let Some(advice) = &plugin.advice {
        line(text, format_args!("  -> {advice}"));
    }
    if let Some(nvidia) = &plugin.nvidia {
        nvidia_lines(text, nvidia);
    }
    for place in &plugin.places {
        place_lines(text, place, plugin.chosen.as_deref());
        // Where something was found, the other places need no repair; where nothing was, one piece of advice does.
        if let Some(advice) = place.advice.as_ref().filter(|_| plugin.verdict == Verdict::Broken) {
            line(text, format_args!("{NESTED}-> {advice}"));
        }
    }
}

fn nvidia_lines(text: &mut String, nvidia: &Nvidia) {
    let Nvidia { driver, packages } = nvidia;
    let found = match (&driver.problem, &driver.version) {
        (Some(problem), _) => problem.clone(),
        (None, Some(version)) => format!("{version}, new enough for CUDA 13"),
        (None, None) => "unknown".to_owned(),
    };
    line(text, format_args!("  driver: {found}"));
    if packages.is_empty() {
        return;
    }
    let compiler =
        packages.iter().filter(|package| package.compiles).find_map(|package| package.path.as_ref());
    match compiler.filter(|_| nvidia.can_compile()) {
        Some(path) => line(text, format_args!("  can compile for NVIDIA GPUs: yes ({})", path.display())),
        None => line(text, format_args!("  can compile for NVIDIA GPUs: no")),
    }
    let missing: Vec<_> = nvidia.missing().map(missing_of).collect();
    if missing.is_empty() {
        line(text, format_args!("  NVIDIA's libraries: all beside the plugin"));
    } else {
        line(text, format_args!("  not beside the plugin: {}", missing.join(", ")));
        line(text, format_args!("    `lapidary plugin install cuda` installs what running programs takes"));
    }
}

/// `nvidia-cublas`, or `libcublasLt.so.13 of nvidia-cublas` if the rest is there.
fn missing_of(package: &CudaPackage) -> String {
    match &package.path {
        None => package.name.to_owned(),
        Some(_) => format!("{} of {}", package.missing.join(" and "), package.name),
    }
}

fn place_lines(text: &mut String, place: &Place, chosen: Option<&Path>) {
    let fit = place.problem.is_none() && place.failure().is_none();
    let mark = if fit { "+" } else { "-" };
    let used = if fit && place.path.as_deref() == chosen { ", used" } else { "" };
    let version = place.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    match (&place.path, &place.problem) {
        (None, problem) => {
            let problem = problem.as_deref().unwrap_or("nothing there");
            line(text, format_args!("  {mark} {}: {problem}", place.source));
        }
        (Some(path), Some(problem)) => {
            line(text, format_args!("  {mark} {}{version}: {problem}", place.source));
            line(text, format_args!("{NESTED}{}", path.display()));
        }
        (Some(path), None) => {
            line(text, format_args!("  {mark} {}{version}{used}", place.source));
            line(text, format_args!("{NESTED}{}", path.display()));
        }
    }
    if let Some(findings) = &place.findings {
        findings_lines(text, findings);
    }
    for failure in place.failure().iter().flat_map(|failure| failure.lines()) {
        line(text, format_args!("{NESTED}{failure}"));
    }
}

fn findings_lines(text: &mut String, findings: &Findings) {
    let mut software = vec![format!("PJRT {}", findings.api_version)];
    for (attribute, name) in [("xla_version", "XLA"), ("stablehlo_current_version", "StableHLO")] {
        if let Some(value) = findings.attributes.get(attribute) {
            software.push(format!("{name} {}", version(value)));
        }
    }
    line(text, format_args!("{NESTED}{}", software.join(", ")));
    let Some(client) = &findings.client else { return };
    let ClientFindings { platform, platform_version, devices } = client;
    // Some platforms' versions are several lines long, of which the first has the number; the CPU's is `cpu`.
    let platform_version = platform_version.lines().next().unwrap_or_default();
    let version = if platform_version == platform { String::new() } else { format!(" {platform_version}") };
    line(text, format_args!("{NESTED}platform {platform}{version}, devices: {}", devices.len()));
    for device in devices {
        let DeviceFindings { id, kind, addressable, memory_in_use, memory_limit } = device;
        let bytes = |bytes: i64| BinaryBytes(u64::try_from(bytes).unwrap_or(0));
        let memory = match (memory_limit, memory_in_use) {
            (Some(limit), Some(used)) => format!(", memory {} ({} in use)", bytes(*limit), bytes(*used)),
            (Some(limit), None) => format!(", memory {}", bytes(*limit)),
            (None, _) => String::new(),
        };
        let elsewhere = if *addressable { "" } else { ", on another host" };
        line(text, format_args!("{NESTED}  {id}: {kind}{memory}{elsewhere}"));
    }
}

/// `[1, 13, 3]` as `1.13.3`; anything else as it is.
fn version(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(parts) => {
            parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
        }
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
