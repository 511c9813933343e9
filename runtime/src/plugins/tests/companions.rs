//! Plugins that need more than themselves: what is fetched, in which order, and what an early end leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::install::install_package;
use super::super::store::Store;
use super::super::{
    Companion, Environment, Error, InstallOptions, InstalledPlugin, Package, PluginKind, Step, Use, Wheel,
    companions_beside,
};
use super::fixture::{Fixture, LIBRARY, files_below, good_wheel, package_of, wheel_of};

const TOOL: &str = "vendor/bin/tool";
const MATHS: &str = "vendor/lib/libmaths.so.1";

/// The wheel of a compiler's tool, with a file that nobody needs.
fn tool_wheel(text: &str) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, mode, content) in [(TOOL, 0o744, text), ("vendor/bin/other", 0o744, "not needed")] {
        writer.start_file(name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
        std::io::Write::write_all(&mut writer, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn maths_wheel() -> Vec<u8> {
    wheel_of(&[(MATHS, b"adds"), ("vendor/LICENSE", b"Mine.")])
}

/// A companion whose wheel has the hash of `bytes`.
fn companion(name: &'static str, needed_to: Use, files: &'static [&'static str], bytes: &[u8]) -> Companion {
    let Package { version, wheels, .. } = package_of(bytes);
    let notices: &[_] = if files == [MATHS] { &["vendor/LICENSE"] } else { &[] };
    let wheels: Vec<Wheel> = wheels.to_vec();
    Companion { name, version, needed_to, reason: "for tests", files, notices, wheels: wheels.leak() }
}

/// A package that needs the tool to compile and the mathematics to run, and a pip that has their wheels.
fn package(fixture: &Fixture) -> Package {
    let tool = tool_wheel("turns");
    for (name, wheel) in
        [("vendor-tool", &tool), ("vendor-maths", &maths_wheel()), ("fake-plugin", &good_wheel())]
    {
        fs::write(fixture.path(&format!("{name}.whl")), wheel).unwrap();
    }
    // The first line of the requirements begins with the name.
    fixture.pip(
        "for a in \"$@\"; do [ \"$p\" = --requirement ] && req=\"$a\"; p=\"$a\"; done\n\
         read -r line < \"$req\"; name=\"${line%%=*}\"; echo \"$name\" >> \"$root/fetched\"\n\
         cp \"$root/$name.whl\" \"$dest/\"",
    );
    let companions = vec![
        companion("vendor-tool", Use::Compile, &[TOOL], &tool),
        companion("vendor-maths", Use::Run, &[MATHS], &maths_wheel()),
    ];
    Package { companions: companions.leak(), ..package_of(&good_wheel()) }
}

fn install(environment: &Environment, package: &Package, wanted: Use) -> Result<InstalledPlugin, Error> {
    install_package(environment, package, wanted, &InstallOptions::default(), &mut |_| ())
}

/// The names that pip was asked for since the last time.
fn fetched(fixture: &Fixture) -> Vec<String> {
    let names = fs::read_to_string(fixture.path("fetched")).unwrap_or_default();
    let _ = fs::remove_file(fixture.path("fetched"));
    names.lines().map(str::to_owned).collect()
}

/// The files of the installation, below its directory.
fn files(fixture: &Fixture) -> Vec<PathBuf> {
    let root = fixture.path("home/plugins/cpu/9.9.9");
    let mut files: Vec<_> =
        files_below(&root).iter().map(|file| file.strip_prefix(&root).unwrap().to_owned()).collect();
    files.sort();
    files
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    let mut paths: Vec<_> = names.iter().map(PathBuf::from).collect();
    paths.sort();
    paths
}

const TO_COMPILE: [&str; 5] =
    ["companions/vendor-tool.json", "fake_plugin/LICENSE", LIBRARY, "manifest.json", TOOL];

#[test]
fn what_is_missing_is_fetched_and_the_plugin_comes_last() {
    let fixture = Fixture::new();
    let (package, environment) = (package(&fixture), fixture.environment());
    let mut steps = Vec::new();
    let mut note = |step: Step| steps.push((step.package, step.number, step.of));
    install_package(&environment, &package, Use::Compile, &InstallOptions::default(), &mut note).unwrap();
    steps.dedup();
    assert_eq!(steps, [("vendor-tool", 1, 2), ("fake-plugin", 2, 2)]);
    assert_eq!(fetched(&fixture), ["vendor-tool", "fake-plugin"]);
    assert_eq!(files(&fixture), paths(&TO_COMPILE), "nothing that is not needed");
    let mode = fixture.path("home/plugins/cpu/9.9.9").join(TOOL).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "a tool can be run by everybody");

    install(&environment, &package, Use::Run).unwrap();
    assert_eq!(fetched(&fixture), ["vendor-maths"]);
    let more = ["companions/vendor-maths.json", "vendor/LICENSE", MATHS];
    assert_eq!(files(&fixture), paths(&[&TO_COMPILE[..], &more].concat()));
    // What is there for more does for less.
    install(&environment, &package, Use::Compile).unwrap();
    install(&environment, &package, Use::Run).unwrap();
    assert_eq!(fetched(&fixture), [""; 0]);
}

#[test]
fn an_installation_goes_on_where_it_ended() {
    let fixture = Fixture::new();
    let (package, environment) = (package(&fixture), fixture.environment());
    let maths = fixture.path("vendor-maths.whl");
    fs::write(&maths, "half").unwrap();
    assert!(matches!(install(&environment, &package, Use::Run), Err(Error::HashMismatch { .. })));
    assert_eq!(fetched(&fixture), ["vendor-tool", "vendor-maths"]);
    assert_eq!(files(&fixture), paths(&["companions/vendor-tool.json", TOOL]));
    let store = Store::of(&environment).unwrap();
    assert!(store.installed(&package).is_err(), "without the rest there is no plugin to be found");

    fs::write(&maths, maths_wheel()).unwrap();
    install(&environment, &package, Use::Run).unwrap();
    assert_eq!(fetched(&fixture), ["vendor-maths", "fake-plugin"]);
}

#[test]
fn what_is_damaged_or_of_another_version_is_replaced() {
    let fixture = Fixture::new();
    let (package, environment) = (package(&fixture), fixture.environment());
    install(&environment, &package, Use::Run).unwrap();
    fetched(&fixture);
    let root = fixture.path("home/plugins/cpu/9.9.9");
    for harm in [|path: &Path| fs::write(path, "cut").unwrap(), |path: &Path| fs::remove_file(path).unwrap()]
    {
        harm(&root.join(MATHS));
        install(&environment, &package, Use::Run).unwrap();
        assert_eq!(fetched(&fixture), ["vendor-maths"]);
        assert_eq!(fs::read(root.join(MATHS)).unwrap(), b"adds");
    }

    // A later Lapidary that wants another file of another wheel for the same plugin.
    const NEWER: &str = "vendor/bin/newer";
    let newer = wheel_of(&[(NEWER, b"turns better")]);
    fs::write(fixture.path("vendor-tool.whl"), &newer).unwrap();
    let companions = vec![companion("vendor-tool", Use::Compile, &[NEWER], &newer)];
    let package = Package { companions: companions.leak(), ..package };
    install(&environment, &package, Use::Compile).unwrap();
    assert_eq!(fetched(&fixture), ["vendor-tool"]);
    assert!(root.join(NEWER).exists() && !root.join(TOOL).exists(), "the old file is gone");
}

#[test]
fn companions_are_seen_beside_a_plugin_of_pip() {
    let site = tempfile::tempdir().unwrap();
    let cuda = Package::pinned(PluginKind::Cuda);
    let library = site.path().join(cuda.library);
    let states = companions_beside(PluginKind::Cuda, &library);
    assert_eq!(states.len(), cuda.companions.len());
    assert!(states.iter().all(|state| !state.is_complete() && state.bytes == 0));

    let [nvcc, ..] = cuda.companions else { panic!("no companions") };
    for file in nvcc.files {
        let path = site.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "seven b").unwrap();
    }
    fs::create_dir(site.path().join("nvidia_cuda_nvcc-13.0.48.dist-info")).unwrap();
    let states = companions_beside(PluginKind::Cuda, &library);
    assert!(states[0].is_complete() && !states[1].is_complete());
    assert_eq!((states[0].version.as_deref(), states[0].bytes), (Some("13.0.48"), 7));
    assert!(companions_beside(PluginKind::Cpu, &library).is_empty());
}
