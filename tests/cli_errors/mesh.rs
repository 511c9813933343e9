//! Meshes, sharding rules and virtual devices that do not fit together.

use crate::sandbox::{Sandbox, refused};

const GENERATE: &str = "generate --model model --token-ids ids.json";

fn with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.model(|_| ());
    sandbox.write("ids.json", "[1, 2, 3]");
    sandbox
}

#[test]
fn meshes_that_are_none() {
    let sandbox = with_model();
    for (flags, parts) in [
        ("--mesh model", ["'--mesh <AXIS=N,...>'", "write a mesh as `data=2,model=4`"]),
        ("--mesh data=2,model=0", ["mesh axis `model` has size 0", "at least one device"]),
        ("--mesh data=2,data=4", ["mesh axis `data` is given twice", "'--mesh <AXIS=N,...>'"]),
        ("--mesh model=-4", ["`model=-4` is not an axis and its size", "write a mesh as"]),
        ("--mesh model=99999999999", ["more than 2147483647 devices", "not supported"]),
        ("--mesh tensor=4", ["mesh axis `tensor`", "name it one of: model, data"]),
        ("--mesh model=1025", ["takes 1025 devices", "at most 1024"]),
    ] {
        sandbox.refuses(&format!("{GENERATE} {flags}"), &parts);
    }
}

#[test]
fn virtual_devices_that_do_not_fit() {
    let sandbox = with_model();
    for (flags, parts) in [
        ("--mesh data=2,model=4 --virtual-devices 4", ["multiply to 8", "give --virtual-devices 8"]),
        ("--mesh data=2,model=4 --virtual-devices 16", ["multiply to 8", "give --virtual-devices 8"]),
        ("--virtual-devices 8", ["needs a mesh", "--mesh model=8"]),
        ("--mesh model=2 --virtual-devices 0", ["--virtual-devices must be", "at least 1"]),
        ("--virtual-devices -1", ["'-1' for '--virtual-devices <N>'", "give a whole number"]),
        ("--device cuda --mesh model=2 --virtual-devices 2", ["the device is cuda", "--device cpu"]),
    ] {
        sandbox.refuses(&format!("{GENERATE} {flags}"), &parts);
        sandbox.refuses(&format!("score --model model --token-ids ids.json {flags}"), &parts);
    }
}

/// A plugin that is named may drive any device, so that its devices are taken as they are: the CPU's are four.
#[test]
fn a_mesh_larger_than_the_devices() {
    let sandbox = with_model();
    let Some(plugin) = crate::plugin_file::cpu_plugin() else { return };
    let mut command = sandbox.command(&format!("{GENERATE} --mesh data=2,model=4"));
    command.arg("--plugin").arg(plugin);
    refused(command, &["the mesh `data=2,model=4` takes 8 devices, but there are 4", "4 or less"]);
}

#[test]
fn rules_that_cannot_be_used() {
    let sandbox = with_model();
    sandbox.refuses(&format!("{GENERATE} --rules rules.toml"), &["--mesh <AXIS=N,...>"]);
    let command = format!("{GENERATE} --mesh data=2,model=4 --rules rules.toml");
    sandbox.refuses(&command, &["cannot read --rules rules.toml", "No such file"]);
    for (rules, parts) in [
        (
            "[rules]\nhaeds = \"model\"",
            ["line 2", "no program has a logical axis `haeds`: choose among batch"],
        ),
        ("[rules]\nheads = \"modle\"", ["mesh axis `modle`", "the mesh is `data=2,model=4`"]),
        ("[rules]\nheads = [\"model\", \"model\"]", ["line 2", "names mesh axis `model` twice"]),
        ("[rules", ["line 1", "--rules rules.toml cannot be used"]),
    ] {
        sandbox.write("rules.toml", rules);
        sandbox.refuses(&command, &parts);
    }
    // Without its rule, the axis splits nothing.
    sandbox.write("rules.toml", "[rules]\nbatch = []\ncache_batch = []");
    sandbox.refuses(&command, &["no sharding rule uses mesh axis `data`", "name it one of: model"]);
}
