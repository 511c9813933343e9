use std::path::Path;
use std::process::Command;

use lapidary::runtime::plugins::PluginKind;
use serde_json::Value;

use super::{Run, has_cpu_plugin, lapidary, run};

/// `doctor` on the CPU alone, with a library of that name.
fn doctor(plugin: Option<&Path>) -> (Run, Value) {
    let mut command = lapidary(&["doctor", "--device", "cpu", "--json"]);
    if let Some(plugin) = plugin {
        command.arg("--plugin").arg(plugin);
    }
    let ended = run(&mut command);
    let report = serde_json::from_str(&ended.stdout).unwrap();
    (ended, report)
}

fn place<'r>(report: &'r Value, source: &str) -> &'r Value {
    let places = report["plugins"][0]["places"].as_array().unwrap();
    places.iter().find(|place| place["source"] == source).unwrap()
}

#[test]
fn a_working_plugin_and_this_machine_are_described() {
    if !has_cpu_plugin() {
        return;
    }
    let (ended, report) = doctor(None);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(report["usable"], true);
    let cpu = &report["plugins"][0];
    assert_eq!((&cpu["kind"], &cpu["verdict"]), (&"cpu".into(), &"usable".into()));
    let places = cpu["places"].as_array().unwrap();
    let chosen = places.iter().find(|place| place["path"] == cpu["chosen"]).unwrap();
    assert_eq!(chosen["findings"]["client"]["platform"], "cpu");
    assert_eq!(chosen["findings"]["client"]["devices"][0]["addressable"], true);
    assert!(chosen["findings"]["attributes"]["stablehlo_current_version"].is_array(), "{chosen}");
    assert!(report["host"]["memory_total"].as_u64() > report["host"]["memory_available"].as_u64());
    assert!(report["host"]["cores"].as_u64() >= Some(1));

    let text = run(&mut lapidary(&["doctor", "--device", "cpu"]));
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    assert!(text.stdout.contains("CPU: works\n") && text.stdout.contains("PJRT 0."), "{}", text.stdout);
}

#[test]
fn a_file_that_is_no_plugin_is_a_finding() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("plugin.so");
    std::fs::write(&text, "no library").unwrap();
    let (ended, report) = doctor(Some(&text));
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr, "error: there is no device to run on\n");
    assert_eq!(report["plugins"][0]["verdict"], "broken");
    assert_eq!(place(&report, "the path given")["problem"], "not a shared library");
    let (_, report) = doctor(Some(Path::new("/nowhere/plugin.so")));
    assert_eq!(place(&report, "the path given")["problem"], "there is no such file");
}

#[test]
fn a_plugin_that_aborts_takes_nobody_along() {
    let directory = tempfile::tempdir().unwrap();
    let (source, library) = (directory.path().join("bad.c"), directory.path().join("bad.so"));
    let code = r#"
        #include <stdio.h>
        #include <stdlib.h>
        const void *GetPjrtApi(void) { fputs("the plugin's last words\n", stderr); abort(); }
    "#;
    std::fs::write(&source, code).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    // Rust itself links through cc.
    assert!(compiled.unwrap().success());
    let (ended, report) = doctor(Some(&library));
    assert_eq!(ended.code, Some(2));
    let place = place(&report, "the path given");
    let failure = place["failure"].as_str().unwrap();
    assert!(failure.contains("SIGABRT") && failure.contains("the plugin's last words"), "{failure}");
    assert!(place["advice"].is_string(), "{place}");
}

#[test]
fn what_lies_beside_the_plugin_for_gpus_is_told() {
    let Some(library) = super::plugin_file::plugin(PluginKind::Cuda) else { return };
    let report = |library: &Path| -> Value {
        let mut command = lapidary(&["doctor", "--device", "cuda", "--json", "--plugin"]);
        serde_json::from_str(&run(command.arg(library)).stdout).unwrap()
    };
    let there = report(&library);
    let nvidia = &there["plugins"][0]["nvidia"];
    let packages = nvidia["packages"].as_array().unwrap();
    let compilers: Vec<_> = packages.iter().filter(|package| package["compiles"] == true).collect();
    assert_eq!(compilers.len(), 2);
    for compiler in compilers {
        assert!(compiler["missing"].as_array().unwrap().is_empty(), "{compiler}");
        assert!(Path::new(compiler["path"].as_str().unwrap()).is_file(), "{compiler}");
    }
    let here = Path::new("/proc/driver/nvidia/version").exists();
    assert_eq!(nvidia["driver"]["version"].is_string(), here, "{nvidia}");

    // By itself, it can do nothing.
    let directory = tempfile::tempdir().unwrap();
    let alone = directory.path().join("jax_plugins/xla_cuda13/plugin.so");
    std::fs::create_dir_all(alone.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&library, &alone).unwrap();
    let alone = report(&alone);
    let packages = alone["plugins"][0]["nvidia"]["packages"].as_array().unwrap();
    assert!(packages.iter().all(|package| package["path"].is_null()), "{alone}");
    if !here {
        assert_eq!(there["plugins"][0]["verdict"], "compiles_only");
        assert_eq!(alone["plugins"][0]["verdict"], "incomplete");
        let advice = alone["plugins"][0]["advice"].as_str().unwrap();
        assert!(advice.contains("`lapidary plugin install cuda --compile-only`"), "{advice}");
    }
}
