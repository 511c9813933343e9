//! The store under everything that a shared directory on a disk can do.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::key::{Key, KeyHasher};
use super::store::{ExecutableStore, StoreError, StoredExecutable};

fn key(name: &str) -> Key {
    KeyHasher::default().ingredient("name", name).finish()
}

/// A store in a directory of its own that is not there yet.
fn store(max_bytes: u64) -> (tempfile::TempDir, ExecutableStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = ExecutableStore::new(directory.path().join("not/yet"), max_bytes);
    (directory, store)
}

fn files(store: &ExecutableStore) -> usize {
    fs::read_dir(store.directory()).unwrap().count()
}

/// Makes an entry's last use a number of seconds ago.
fn age(store: &ExecutableStore, stored: &StoredExecutable, seconds: u64) {
    let file = File::open(&stored.path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    assert!(store.list().unwrap().iter().any(|other| other.path == stored.path));
}

fn of<'s>(listed: &'s [StoredExecutable], key: &Key) -> &'s StoredExecutable {
    let name = format!("{key}.executable");
    listed.iter().find(|stored| stored.path.file_name().unwrap() == name.as_str()).unwrap()
}

#[test]
fn what_was_stored_is_there_until_the_store_is_cleared() {
    let (_directory, store) = store(1000);
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.read(&key("a")).unwrap(), None);
    store.write(&key("a"), &[b"one ", b"two"]).unwrap();
    store.write(&key("b"), &[b"three"]).unwrap();
    assert_eq!(store.read(&key("a")).unwrap().unwrap(), b"one two");
    store.write(&key("a"), &[b"four"]).unwrap();
    assert_eq!(store.read(&key("a")).unwrap().unwrap(), b"four");
    assert_eq!(files(&store), 2, "nothing is left of the making");

    let others = store.directory().join("notes.txt");
    fs::write(&others, "not the cache's").unwrap();
    let bytes: Vec<u64> = store.list().unwrap().iter().map(|stored| stored.bytes).collect();
    assert_eq!(bytes.len(), 2);
    assert_eq!(bytes.iter().sum::<u64>(), 9);
    assert_eq!(store.clear().unwrap().len(), 2);
    assert_eq!(store.read(&key("b")).unwrap(), None);
    assert!(others.exists(), "what is not the cache's stays");
    assert!(store.clear().unwrap().is_empty());
}

#[test]
fn what_was_not_used_for_longest_is_evicted() {
    let (_directory, store) = store(30);
    for name in ["a", "b", "c"] {
        store.write(&key(name), &[&[0; 10]]).unwrap();
    }
    let listed = store.list().unwrap();
    for (name, seconds) in [("a", 300), ("b", 200), ("c", 100)] {
        age(&store, of(&listed, &key(name)), seconds);
    }
    // A use makes it the youngest but one.
    assert!(store.read(&key("a")).unwrap().is_some());
    store.write(&key("d"), &[&[0; 15]]).unwrap();
    let left: Vec<bool> = ["a", "b", "c", "d"].map(|name| store.read(&key(name)).unwrap().is_some()).to_vec();
    assert_eq!(left, [true, false, false, true]);
    assert_eq!(store.list().unwrap().iter().map(|stored| stored.bytes).sum::<u64>(), 25);
}

#[test]
fn the_newest_is_not_evicted_whatever_the_clock_says() {
    let (_directory, store) = store(30);
    store.write(&key("a"), &[&[0; 20]]).unwrap();
    let file = File::open(&store.list().unwrap()[0].path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    store.write(&key("b"), &[&[0; 20]]).unwrap();
    assert!(store.read(&key("a")).unwrap().is_none());
    assert!(store.read(&key("b")).unwrap().is_some());
}

#[test]
fn what_alone_is_too_large_is_not_stored() {
    let (_directory, store) = store(10);
    store.write(&key("a"), &[&[0; 10]]).unwrap();
    let error = store.write(&key("b"), &[&[0; 6], &[0; 5]]).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { bytes: 11, max_bytes: 10 }), "{error}");
    assert!(store.read(&key("a")).unwrap().is_some());
}

#[test]
fn what_dead_processes_left_is_cleared_away() {
    let (_directory, store) = store(1000);
    store.write(&key("a"), &[b"x"]).unwrap();
    let [dead, alive] = ["dead", "alive"].map(|name| store.directory().join(format!(".new-{name}")));
    for path in [&dead, &alive] {
        fs::write(path, "half").unwrap();
    }
    File::open(&dead).unwrap().set_modified(SystemTime::now() - Duration::from_secs(2 * 3600)).unwrap();
    store.write(&key("b"), &[b"x"]).unwrap();
    assert!(!dead.exists() && alive.exists());
    assert_eq!(store.list().unwrap().len(), 2, "those are no executables");
}

#[test]
fn a_store_that_cannot_be_is_an_error_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let store = ExecutableStore::new(&file, 1000);
    let error = store.write(&key("a"), &[b"x"]).unwrap_err();
    assert!(matches!(&error, StoreError::Write { .. }), "{error}");
    assert!(store.read(&key("a")).is_err());

    // A directory where the file should be.
    let store = ExecutableStore::new(directory.path().join("root"), 1000);
    store.write(&key("a"), &[b"x"]).unwrap();
    let path = store.list().unwrap()[0].path.clone();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(store.write(&key("a"), &[b"x"]).is_err());
    assert!(store.read(&key("a")).is_err());
    assert_eq!(files(&store), 1, "nothing is left of the making");
}

#[test]
#[cfg(unix)]
fn only_the_user_can_put_code_there() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, store) = store(1000);
    store.write(&key("a"), &[b"x"]).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.directory()), 0o700);
    assert_eq!(mode(&store.list().unwrap()[0].path), 0o600);
}

/// Readers see one writer's content or another's, whole, while others evict.
#[test]
fn writers_at_the_same_time_do_not_disturb_readers() {
    const SIZE: usize = 1 << 16;
    let (_directory, store) = store(3 * SIZE as u64);
    std::thread::scope(|scope| {
        for writer in 0..4u8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..50 {
                    let key = key(["a", "b", "c", "d"][(usize::from(writer) + round) % 4]);
                    store.write(&key, &[&[writer; SIZE / 2], &[writer; SIZE / 2]]).unwrap();
                    let read = store.read(&key).unwrap();
                    let whole = |bytes: Vec<u8>| bytes.len() == SIZE && bytes.iter().all(|&b| b == bytes[0]);
                    assert!(read.is_none_or(whole));
                }
            });
        }
    });
    store.write(&key("a"), &[b"x"]).unwrap();
    assert!(store.list().unwrap().iter().map(|stored| stored.bytes).sum::<u64>() <= 3 * SIZE as u64);
    assert_eq!(files(&store), store.list().unwrap().len());
}
