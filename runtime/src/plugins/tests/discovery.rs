//! The order of places, and what is said of each.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Defect, Environment, Error, Package, PluginKind, Problem, Source, discover, find};
use super::fixture::{Fixture, fake_library};

const KIND: PluginKind = PluginKind::Cpu;

fn library_at(path: PathBuf) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, fake_library("")).unwrap();
    path
}

/// A library in every place, and the places in order.
fn everywhere(fixture: &Fixture) -> (Environment, PathBuf, Vec<PathBuf>) {
    let package = Package::pinned(KIND);
    let explicit = library_at(fixture.path("explicit.so"));
    let variable = library_at(fixture.path("variable.so"));
    let ours = fixture.path("home/plugins/cpu").join(package.version);
    let installed = library_at(ours.join(package.library));
    fs::write(
        ours.join("manifest.json"),
        serde_json::json!({
            "package": package.name, "version": package.version, "wheel": "w", "wheel_sha256": "s",
            "library": package.library, "library_bytes": fs::metadata(&installed).unwrap().len(),
            "installed_at": 1,
        })
        .to_string(),
    )
    .unwrap();
    let venv = fixture.path("venv/lib/python3.11/site-packages");
    let in_venv = library_at(venv.join(package.library));
    fs::create_dir(venv.join("xla_cpu_pjrt-0.0.7.dist-info")).unwrap();
    let site = fixture.path("usr/dist-packages");
    let in_site = library_at(site.join(package.library));
    let standard = fixture.path("usr/python3.11");
    fixture.program("python3", &format!("echo '{}'; echo '{}'", standard.display(), site.display()));
    let environment = fixture
        .environment()
        .with("LAPIDARY_PLUGIN_CPU", &variable)
        .with("VIRTUAL_ENV", fixture.path("venv"));
    (environment, explicit.clone(), vec![explicit, variable, installed, in_venv, in_site])
}

#[test]
fn places_come_in_order_with_their_versions() {
    let fixture = Fixture::new();
    let (environment, explicit, paths) = everywhere(&fixture);
    let candidates = discover(&environment, KIND, Some(&explicit));
    let found: Vec<_> = candidates.iter().map(|candidate| candidate.located().unwrap().path).collect();
    assert_eq!(found, paths);
    let sources: Vec<_> = candidates.iter().map(|candidate| candidate.source.clone()).collect();
    assert_eq!(
        sources,
        [
            Source::Explicit,
            Source::Variable("LAPIDARY_PLUGIN_CPU"),
            Source::Installed,
            Source::VirtualEnvironment,
            Source::Python(fixture.path("bin/python3")),
        ]
    );
    let versions: Vec<_> = candidates.iter().map(|candidate| candidate.version.as_deref()).collect();
    assert_eq!(versions, [None, None, Some(Package::pinned(KIND).version), Some("0.0.7"), None]);
}

#[test]
fn the_first_usable_place_wins() {
    let fixture = Fixture::new();
    let (mut environment, explicit, paths) = everywhere(&fixture);
    let path = |environment: &Environment, explicit| find(environment, KIND, explicit).unwrap().path;
    assert_eq!(path(&environment, Some(explicit.as_path())), paths[0]);
    assert_eq!(path(&environment, None), paths[1]);
    environment = environment.with("LAPIDARY_PLUGIN_CPU", "");
    for expected in &paths[2..] {
        assert_eq!(&path(&environment, None), expected);
        fs::remove_file(expected).unwrap();
    }
    let error = find(&environment, KIND, None).unwrap_err();
    let message = error.to_string();
    for path in &paths[2..] {
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
    assert!(message.contains("LAPIDARY_PLUGIN_CPU: not set"), "{message}");
    assert!(message.contains("lapidary plugin install cpu"), "{message}");
}

#[test]
fn what_was_asked_for_is_never_replaced() {
    let fixture = Fixture::new();
    let (environment, ..) = everywhere(&fixture);
    let missing = Path::new("/nowhere/plugin.so");
    let error = find(&environment, KIND, Some(missing)).unwrap_err();
    let Error::Unusable { candidate } = &error else { panic!("{error}") };
    assert_eq!(candidate.problem, Some(Problem::Defect(Defect::Missing)));

    let text = fixture.path("plugin.whl");
    fs::write(&text, "PK").unwrap();
    let error = find(&environment.with("LAPIDARY_PLUGIN_CPU", &text), KIND, None).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("not a shared library") && message.contains("correct LAPIDARY_PLUGIN_CPU"),
        "{message}"
    );
}

#[test]
fn a_damaged_installation_is_passed_over_with_advice() {
    let fixture = Fixture::new();
    let (environment, _, paths) = everywhere(&fixture);
    let environment = environment.with("LAPIDARY_PLUGIN_CPU", "");
    fs::write(&paths[2], fake_library("longer than recorded")).unwrap();
    assert_eq!(find(&environment, KIND, None).unwrap().path, paths[3]);
    let candidates = discover(&environment, KIND, None);
    let ours = candidates.iter().find(|candidate| candidate.source == Source::Installed).unwrap();
    assert!(matches!(ours.problem, Some(Problem::Defect(Defect::Damaged { .. }))), "{ours}");
    assert!(ours.advice().unwrap().contains("lapidary plugin install cpu"));
}

#[test]
fn the_tpus_own_variable_comes_after_ours() {
    let fixture = Fixture::new();
    let (ours, theirs) = (library_at(fixture.path("ours.so")), library_at(fixture.path("theirs.so")));
    let environment = fixture.environment().with("TPU_LIBRARY_PATH", &theirs);
    assert_eq!(find(&environment, PluginKind::Tpu, None).unwrap().path, theirs);
    let environment = environment.with("LAPIDARY_PLUGIN_TPU", &ours);
    assert_eq!(find(&environment, PluginKind::Tpu, None).unwrap().path, ours);
}

#[test]
fn an_interpreter_that_is_missing_or_fails_is_reported() {
    let fixture = Fixture::new();
    let environment = fixture.environment();
    let last = |environment: &Environment| discover(environment, KIND, None).pop().unwrap().to_string();
    assert!(last(&environment).contains("no python3 or python on PATH"), "{}", last(&environment));
    fixture.program("python3", "echo 'broken installation' >&2; exit 1");
    assert!(last(&environment).contains("broken installation"), "{}", last(&environment));
}
