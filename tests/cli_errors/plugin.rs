//! Plugins that are none, are too old, or cannot be installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::sandbox::{Sandbox, refused};

const GENERATE: &str = "generate --model model --token-ids ids.json";

fn with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    sandbox.write("ids.json", "[1, 2, 3]");
    sandbox
}

/// Compiles a shared library; `false`, said aloud, where there is no C compiler outside CI.
fn compile(sandbox: &Sandbox, name: &str, source: &str) -> bool {
    let file = format!("{name}.c");
    sandbox.write(&file, source);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(sandbox.path(name)).arg(sandbox.path(&file));
    match cc.status() {
        Ok(status) => {
            assert!(status.success());
            true
        }
        Err(error) => {
            crate::plugin_file::skip(format_args!("no C compiler ({error})"));
            false
        }
    }
}

#[test]
fn files_that_are_no_plugin() {
    let sandbox = with_model();
    let refuses = |plugin: &str, parts: &[&str]| {
        sandbox.refuses(&format!("{GENERATE} --plugin {plugin}"), &[&[plugin], parts].concat());
    };
    sandbox.write("text.so", "I am no library");
    refuses("text.so", &["not a shared library", "give the path"]);
    refuses("nowhere.so", &["there is no such file"]);
    refuses("model", &["not a regular file"]);
    if compile(&sandbox, "other.so", "int answer(void) { return 42; }") {
        refuses("other.so", &["not a PJRT plugin", "GetPjrtApi", "give the path of a plugin"]);
    }
    if compile(&sandbox, "null.so", "void *GetPjrtApi(void) { return 0; }") {
        refuses("null.so", &["not a PJRT plugin", "returned nothing"]);
    }
    let unlinked =
        "extern int nobody_has_this(void); void *GetPjrtApi(void) { nobody_has_this(); return 0; }";
    if compile(&sandbox, "unlinked.so", unlinked) {
        refuses("unlinked.so", &["cannot load", "nobody_has_this"]);
    }

    // A variable is a demand like the flag.
    let mut named = sandbox.command(GENERATE);
    named.env("LAPIDARY_PLUGIN_CPU", "text.so");
    refused(named, &["LAPIDARY_PLUGIN_CPU", "text.so", "not a shared library"]);
}

#[test]
fn plugins_of_another_age() {
    let sandbox = with_model();
    let source = |major: u32, minor: u32| {
        format!(
            "#include <stddef.h>\n\
             static struct {{ size_t size; void *extension; size_t version_size; void *version_extension;\n\
               int major, minor; void *functions[130]; }} api = {{ sizeof api, 0, 24, 0, {major}, {minor} }};\n\
             void *GetPjrtApi(void) {{ return &api; }}\n"
        )
    };
    for (name, version, advice) in [("old.so", (0, 40), "a newer"), ("future.so", (1, 2), "an older")] {
        if compile(&sandbox, name, &source(version.0, version.1)) {
            let version = format!("PJRT API {}.{},", version.0, version.1);
            let advice = format!("install {advice} version");
            sandbox.refuses(&format!("{GENERATE} --plugin {name}"), &[name, &version, &advice]);
        }
    }
    let tiny = "static unsigned long api = 8; void *GetPjrtApi(void) { return &api; }";
    if compile(&sandbox, "tiny.so", tiny) {
        sandbox.refuses(&format!("{GENERATE} --plugin tiny.so"), &["tiny.so", "too small"]);
    }
}

/// The command as on a machine where nothing was ever installed, with only the programs in `bin`.
fn fresh_machine(sandbox: &Sandbox, home: &str) -> Command {
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    let mut command = sandbox.command(GENERATE);
    command.env_remove("LAPIDARY_PLUGIN_CPU").env_remove("VIRTUAL_ENV").env_remove("XDG_DATA_HOME");
    command.env("PATH", sandbox.path("bin")).env("HOME", sandbox.path("home"));
    command.env("LAPIDARY_HOME", sandbox.path(home));
    command
}

/// A `python3` without packages whose pip does what `download` says.
fn python(sandbox: &Sandbox, download: &str) {
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -c ]; then exit; fi\nif [ \"$3\" = --version ]; then echo pip 99; exit; fi\n{download}\n"
    );
    sandbox.write("bin/python3", script);
    fs::set_permissions(sandbox.path("bin/python3"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn first_use_without_pip_network_or_a_place_to_store() {
    let sandbox = with_model();
    let outcome =
        refused(fresh_machine(&sandbox, "data"), &["no pip was found", "install Python 3 with pip"]);
    assert!(outcome.stderr.contains("installing it now"), "{outcome:?}");

    python(&sandbox, "echo 'NewConnectionError: network is unreachable' >&2; exit 1");
    let parts = ["package index cannot be reached", "Check the network", "network is unreachable"];
    refused(fresh_machine(&sandbox, "data"), &parts);

    python(&sandbox, "echo 'ERROR: [Errno 28] No space left on device' >&2; exit 1");
    refused(fresh_machine(&sandbox, "data"), &["the disk is full", "LAPIDARY_HOME"]);

    sandbox.write("file", "");
    let unwritable = refused(fresh_machine(&sandbox, "file/data"), &["file/data", "set LAPIDARY_HOME"]);
    assert_eq!(unwritable.stderr.matches("Not a directory").count(), 1, "said once: {unwritable:?}");
}
