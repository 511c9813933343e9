//! Installation through fake pips: what goes right, and everything that can go wrong.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::install::install_package;
use super::super::store::Store;
use super::super::{
    Environment, Error, HOME_VARIABLE, InstallOptions, InstalledPlugin, Package, PluginKind, Progress, Step,
    Use, installed, remove,
};
use super::fixture::{Fixture, LIBRARY, LICENSE, fake_library, good_wheel, package_of, wheel_of};

fn install(environment: &Environment, package: &Package) -> Result<InstalledPlugin, Error> {
    install_package(environment, package, Use::Run, &InstallOptions::default(), &mut |_| ())
}

/// Installs and asserts that it fails leaving nothing behind.
fn install_fails(fixture: &Fixture, package: &Package) -> Error {
    let error = install(&fixture.environment(), package).unwrap_err();
    assert_eq!(fixture.left_in_home(), Vec::<&Path>::new(), "left behind after: {error}");
    error
}

#[test]
fn a_wheel_is_fetched_checked_and_unpacked() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    let mut events = Vec::new();
    let plugin = install_package(
        &fixture.environment(),
        &package,
        Use::Run,
        &InstallOptions::default(),
        &mut |event| events.push(event.progress),
    )
    .unwrap();

    let directory = fixture.path("home/plugins/cpu/9.9.9");
    assert_eq!(plugin.library, directory.join(LIBRARY));
    assert_eq!(fs::read(&plugin.library).unwrap(), fake_library("the library"));
    assert_eq!((plugin.version.as_str(), plugin.pinned), ("9.9.9", true));
    assert_eq!(plugin.wheel_sha256, package.wheels[0].sha256);
    assert!(plugin.installed_at > 1_700_000_000);
    let mut left = fixture.left_in_home();
    left.sort();
    let expected = ["fake_plugin/LICENSE", LIBRARY, "manifest.json"].map(|name| directory.join(name));
    assert_eq!(left, expected, "only what is needed, and no staging directory");

    let total = wheel.len() as u64;
    let size = (fake_library("the library").len() + LICENSE.len()) as u64;
    assert_eq!(events.first(), Some(&Progress::Downloading { bytes: 0, total }));
    assert!(events.contains(&Progress::Downloading { bytes: total, total }));
    assert!(events.contains(&Progress::Verifying { bytes: total, total }));
    assert_eq!(events.last(), Some(&Progress::Unpacking { bytes: size, total: size }));
}

#[test]
fn pip_is_told_the_version_the_hash_and_the_platform() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip("previous=; for a in \"$@\"; do [ \"$previous\" = --requirement ] && cat \"$a\" > \"$root/asked\"; previous=\"$a\"; done");
    install_fails(&fixture, &package);
    let asked = fs::read_to_string(fixture.path("asked")).unwrap();
    assert_eq!(asked, format!("fake-plugin==9.9.9 --hash=sha256:{}\n", package.wheels[0].sha256));
    let call = fixture.pip_calls().pop().unwrap();
    for option in ["--require-hashes", "--no-input", "--no-deps", "--platform fake_platform", "--abi cp311"] {
        assert!(call.contains(option), "{option} in {call}");
    }
}

#[test]
fn what_is_installed_is_not_fetched_again_unless_forced_or_damaged() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    let environment = fixture.environment();
    let first = install(&environment, &package).unwrap();
    assert_eq!(install(&environment, &package).unwrap(), first);
    assert_eq!(fixture.pip_calls().len(), 1);

    let force = InstallOptions { force: true, ..InstallOptions::default() };
    install_package(&environment, &package, Use::Run, &force, &mut |_| ()).unwrap();
    assert_eq!(fixture.pip_calls().len(), 2);

    fs::write(&first.library, fake_library("cut")).unwrap();
    install(&environment, &package).unwrap();
    assert_eq!(fixture.pip_calls().len(), 3);
    assert_eq!(fs::read(&first.library).unwrap(), fake_library("the library"));
}

#[test]
fn another_file_than_the_pinned_one_is_refused() {
    let fixture = Fixture::new();
    let package = package_of(&good_wheel());
    fixture.pip_delivers(&package, &wheel_of(&[(LIBRARY, &fake_library("something else"))]));
    let error = install_fails(&fixture, &package);
    let Error::HashMismatch { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!(*expected, package.wheels[0].sha256);
    assert!(found.len() == 64 && found != expected, "{found}");
}

#[test]
fn no_network_is_told_from_other_failures() {
    let fixture = Fixture::new();
    let package = package_of(&good_wheel());
    fixture.pip(
        "echo \"WARNING: Retrying after connection broken by 'NewConnectionError(...)'\" >&2\n\
         echo 'ERROR: No matching distribution found for fake-plugin==9.9.9' >&2\nexit 1",
    );
    let error = install_fails(&fixture, &package);
    assert!(matches!(error, Error::Network { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("NewConnectionError") && message.contains("PIP_FIND_LINKS"), "{message}");

    fixture.pip("echo 'ERROR: No matching distribution found for fake-plugin==9.9.9' >&2; exit 1");
    assert!(matches!(install_fails(&fixture, &package), Error::NotOffered { .. }));

    fixture.pip("echo 'the roof is on fire'; exit 7");
    let error = install_fails(&fixture, &package);
    assert!(matches!(error, Error::Pip { .. }), "{error}");
    assert!(error.to_string().contains("the roof is on fire"), "{error}");
}

#[test]
fn a_full_disk_that_pip_meets_is_told() {
    let fixture = Fixture::new();
    fixture.pip("echo 'ERROR: [Errno 28] No space left on device' >&2; exit 1");
    let error = install_fails(&fixture, &package_of(&good_wheel()));
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains(HOME_VARIABLE), "{error}");
}

#[test]
fn no_pip_names_everything_that_was_tried() {
    let fixture = Fixture::new();
    fixture.program("python3", "echo 'No module named pip' >&2; exit 1");
    let error = install_fails(&fixture, &package_of(&good_wheel()));
    let Error::NoPip { tried } = &error else { panic!("{error}") };
    assert_eq!(tried.len(), 4);
    assert!(tried[0].contains("python3 -m pip") && tried[0].contains("No module named pip"), "{tried:?}");
    assert!(tried[3].contains("pip: not on PATH"), "{tried:?}");
}

#[test]
fn a_bare_pip_serves_where_python_has_none() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    let script = fs::read_to_string(fixture.path("bin/python3")).unwrap();
    fixture.program("pip3", &script.replace("'-m pip --version'", "--version"));
    fixture.program("python3", "echo 'No module named pip' >&2; exit 1");
    install(&fixture.environment(), &package).unwrap();
}

#[test]
fn of_two_at_once_one_fetches_and_the_other_finds_it() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fs::write(fixture.path("the.whl"), &wheel).unwrap();
    fixture.pip("sleep 1; cp \"$root/the.whl\" \"$dest/fake.whl\"");
    let environment = fixture.environment();
    let run = || {
        let mut waited = false;
        let mut note = |step: Step| waited |= step.progress == Progress::Waiting;
        let plugin =
            install_package(&environment, &package, Use::Run, &InstallOptions::default(), &mut note).unwrap();
        (plugin, waited)
    };
    let (one, two) = thread::scope(|scope| {
        let (one, two) = (scope.spawn(run), scope.spawn(run));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one.0, two.0);
    assert_eq!(fixture.pip_calls().len(), 1);
    assert!(one.1 != two.1, "exactly one of them waits");
}

#[test]
fn what_a_killed_download_left_is_cleared() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    let dead = fixture.path("home/plugins/.staging-dead/temporary/pip-unpack");
    fs::create_dir_all(&dead).unwrap();
    fs::write(dead.join("half.whl"), "half").unwrap();
    install(&fixture.environment(), &package).unwrap();
    assert!(!fixture.path("home/plugins/.staging-dead").exists());
}

#[test]
fn cancelling_kills_pip_and_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.pip("echo $$ > \"$root/pip.pid\"; exec sleep 300");
    let options = InstallOptions { cancel: Arc::new(AtomicBool::new(false)), ..InstallOptions::default() };
    let pid_file = fixture.path("pip.pid");
    let pid = || fs::read_to_string(&pid_file).ok().filter(|text| text.ends_with('\n'));
    let start = Instant::now();
    let result =
        install_package(&fixture.environment(), &package_of(&good_wheel()), Use::Run, &options, &mut |_| {
            options.cancel.store(pid().is_some(), Ordering::Relaxed)
        });
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(!Path::new("/proc").join(pid().unwrap().trim()).exists(), "pip still runs");
    assert_eq!(fixture.left_in_home(), Vec::<&Path>::new());
}

#[test]
fn names_in_a_wheel_cannot_lead_outside() {
    let fixture = Fixture::new();
    let wheel = wheel_of(&[
        ("../../../../../evil", b"boo"),
        ("/evil", b"boo"),
        ("fake_plugin/LICENSE", b""),
        (LIBRARY, &fake_library("fine")),
    ]);
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    install(&fixture.environment(), &package).unwrap();
    let evil = super::fixture::files_below(&fixture.path(""));
    assert!(evil.iter().all(|path| path.file_name().unwrap() != "evil"), "{evil:?}");

    let mut linked = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    linked.add_symlink("fake_plugin/LICENSE", "/etc/hostname", SimpleFileOptions::default()).unwrap();
    linked.add_symlink(LIBRARY, "/lib/libc.so.6", SimpleFileOptions::default()).unwrap();
    let wheel = linked.finish().unwrap().into_inner();
    let (fixture, package) = (Fixture::new(), package_of(&wheel));
    fixture.pip_delivers(&package, &wheel);
    let error = install_fails(&fixture, &package);
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn wheels_that_cannot_be_used_are_refused() {
    let whole = good_wheel();
    let mut corrupt = whole.clone();
    // The library is the last member, stored behind the other two and before the archive's directory.
    let inside = corrupt.windows(LIBRARY.len()).position(|w| w == LIBRARY.as_bytes()).unwrap();
    corrupt[inside + LIBRARY.len() + 10] ^= 0x55;
    let license: (&str, &[u8]) = ("fake_plugin/LICENSE", b"");
    for (wheel, reason) in [
        (whole[..whole.len() / 2].to_vec(), ""),
        (Vec::new(), ""),
        (corrupt, LIBRARY),
        (wheel_of(&[license]), "holds no fake_plugin/lib/plugin.so"),
        (wheel_of(&[license, (LIBRARY, b"text")]), "not a shared library"),
    ] {
        let (fixture, package) = (Fixture::new(), package_of(&wheel));
        fixture.pip_delivers(&package, &wheel);
        let error = install_fails(&fixture, &package);
        assert!(matches!(error, Error::BadWheel { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn an_unwritable_data_directory_is_named() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    fs::write(fixture.path("file"), "").unwrap();
    let home = fixture.path("file/home");
    let environment = fixture.environment().with(HOME_VARIABLE, &home);
    let error = install(&environment, &package_of(&wheel)).unwrap_err();
    assert!(matches!(error, Error::DataDirUnwritable { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(home.to_str().unwrap()) && message.contains(HOME_VARIABLE), "{message}");
}

#[test]
fn a_machine_without_a_wheel_is_told_so() {
    let fixture = Fixture::new();
    let package = Package { wheels: &[], ..package_of(b"") };
    let error = install_fails(&fixture, &package);
    assert!(matches!(error, Error::UnsupportedPlatform { .. }), "{error}");
    assert!(error.to_string().contains("LAPIDARY_PLUGIN_CPU"), "{error}");
}

#[test]
fn installed_versions_are_listed_and_removed() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    let environment = fixture.environment();
    assert_eq!(installed(&environment).unwrap(), []);
    assert_eq!(remove(&environment, PluginKind::Cpu).unwrap(), []);
    assert!(!fixture.path("home").exists(), "asking creates nothing");

    let plugin = install(&environment, &package).unwrap();
    // The public functions compare with the real pin, which this version is not.
    let listed = InstalledPlugin { pinned: false, ..plugin };
    assert_eq!(installed(&environment).unwrap(), std::slice::from_ref(&listed));
    assert_eq!(remove(&environment, PluginKind::Tpu).unwrap(), []);
    assert_eq!(remove(&environment, PluginKind::Cpu).unwrap(), [listed]);
    assert_eq!(installed(&environment).unwrap(), []);
    assert_eq!(fixture.left_in_home(), Vec::<&Path>::new());
}

#[test]
fn removing_does_not_wait_for_an_installation() {
    let (fixture, wheel) = (Fixture::new(), good_wheel());
    let package = package_of(&wheel);
    fixture.pip_delivers(&package, &wheel);
    let environment = fixture.environment();
    install(&environment, &package).unwrap();
    let force = InstallOptions { force: true, ..InstallOptions::default() };
    let mut refusals = 0;
    install_package(&environment, &package, Use::Run, &force, &mut |_| {
        let refused = remove(&environment, PluginKind::Cpu);
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
        refusals += 1;
    })
    .unwrap();
    assert!(refusals > 0);
    assert_eq!(remove(&environment, PluginKind::Cpu).unwrap().len(), 1);
}

/// A process that another thread starts has all files open for a moment, that of the lock among them.
#[test]
fn a_lock_ends_with_its_holder_whatever_others_start() {
    let fixture = Fixture::new();
    let environment = fixture.environment();
    let store = Store::of(&environment).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let busy = || Err(Error::Busy { kind: PluginKind::Cpu });
        let refused = (0..2000).filter(|_| store.lock(busy).is_err()).count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(refused, 0);
    });
}

#[test]
fn pip_ending_because_of_the_same_interrupt_counts_as_cancelled() {
    let fixture = Fixture::new();
    fixture.pip("echo 'ERROR: Operation cancelled by user' >&2; echo > \"$root/interrupted\"; exit 1");
    let options = InstallOptions::default();
    let interrupted = fixture.path("interrupted");
    let result =
        install_package(&fixture.environment(), &package_of(&good_wheel()), Use::Run, &options, &mut |_| {
            while fixture.pip_calls().len() == 1 && !interrupted.exists() {
                thread::sleep(Duration::from_millis(10));
            }
            options.cancel.store(interrupted.exists(), Ordering::Relaxed);
        });
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
}
