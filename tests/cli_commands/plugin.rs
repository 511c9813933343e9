use std::fs;

use lapidary::runtime::plugins::{self, Environment, PluginKind};
use serde_json::Value;

use super::{has_cpu_plugin, lapidary, run, run_lapidary};

#[test]
fn the_plugin_that_would_be_loaded_is_named_and_listed() {
    if !has_cpu_plugin() {
        return;
    }
    let expected = plugins::find(&Environment::from_process(), PluginKind::Cpu, None).unwrap().path;
    let path = run_lapidary(&["plugin", "path", "cpu"]);
    assert_eq!((path.code, path.stdout), (Some(0), format!("{}\n", expected.display())), "{}", path.stderr);

    let listed = run_lapidary(&["plugin", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let listed = listed["plugins"].as_array().unwrap();
    let entry = listed.iter().find(|entry| entry["path"] == expected.to_str().unwrap()).unwrap();
    assert_eq!(entry["kind"], "cpu");
    assert_eq!(entry["bytes"], expected.metadata().unwrap().len());
    assert_eq!(entry["problem"], Value::Null);
    let table = run_lapidary(&["plugin", "list"]).stdout;
    assert!(table.starts_with("KIND") && table.contains(expected.to_str().unwrap()), "{table}");
}

#[test]
fn a_variable_that_names_no_plugin_is_listed_and_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("plugin.so");
    fs::write(&text, "no library").unwrap();
    let with_text = |arguments: &[&str]| run(lapidary(arguments).env("LAPIDARY_PLUGIN_CPU", &text));
    let path = with_text(&["plugin", "path", "cpu"]);
    assert_eq!((path.code, path.stdout.as_str()), (Some(2), ""));
    assert!(path.stderr.contains("not a shared library"), "{}", path.stderr);
    assert!(path.stderr.contains("unset it"), "{}", path.stderr);
    let listed: Value = serde_json::from_str(&with_text(&["plugin", "list", "--json"]).stdout).unwrap();
    let entry = &listed["plugins"][0];
    assert_eq!(entry["source"], "LAPIDARY_PLUGIN_CPU");
    assert_eq!(entry["problem"], "not a shared library");
}

#[test]
fn nothing_installed_is_nothing_to_remove() {
    let home = tempfile::tempdir().unwrap();
    let removed = run(lapidary(&["plugin", "remove", "tpu"]).env("LAPIDARY_HOME", home.path()));
    assert_eq!((removed.code, removed.stdout.as_str()), (Some(0), ""));
    assert!(removed.stderr.contains("nothing to remove"), "{}", removed.stderr);
}

#[test]
fn an_unknown_plugin_is_answered_with_the_known_ones() {
    let refused = run_lapidary(&["plugin", "install", "gpu"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("the plugins are cpu, tpu and cuda"), "{}", refused.stderr);
}
