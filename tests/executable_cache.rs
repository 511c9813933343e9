//! Executables from the cache do exactly what fresh ones do, on one device and on several.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use lapidary::engine::cache::{
    CacheOutcome, Compilation, ExecutableCache, ExecutableStore, MissReason, StoreError,
};
use lapidary::engine::{Engine, GenerateOptions, Placement};
use lapidary::lower::ShardingRules;
use lapidary::runtime::Client;
use sha2::{Digest, Sha256};
use support::{logits, small};

const MAX_BYTES: u64 = 1 << 30;

/// Where an entry's checksum is, and from where on it is of what.
const CHECKSUM: std::ops::Range<usize> = 44..76;
/// Where the length of the executable is.
const LENGTH: std::ops::Range<usize> = 92..100;

fn load(placement: &Placement, cache: ExecutableCache) -> Engine {
    let (_directory, checkpoint) = small("gemma2-windowed");
    let engine = Engine::load(placement, &checkpoint, None, &mut |_| ControlFlow::Continue(()));
    engine.unwrap().with_cache(cache)
}

fn sequences() -> Vec<Vec<u32>> {
    let sequence = |(row, length): (u32, u32)| (0..length).map(|i| 2 + (row * 31 + i * 17) % 200).collect();
    (0..).zip([14, 1, 5, 23]).map(sequence).collect()
}

/// Bits of all that programs of each phase return, and tokens.
fn answers(engine: &Engine) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let sequences = sequences();
    let bits = |logits: Vec<f32>| logits.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let mut values: Vec<Vec<u32>> = logits(engine, &sequences).into_iter().map(bits).collect();
    let mut batch = engine.batch(sequences.len(), 64).unwrap();
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    values.extend(batch.prefill(&slices).unwrap().into_iter().map(bits));
    // Each step takes over the cache of the one before, which is donated.
    for token in [3, 50, 7, 9] {
        values.extend(batch.decode(&[Some(token); 4]).unwrap().into_iter().map(bits));
    }
    let options = GenerateOptions { max_new_tokens: 8, ignore_eos: true, ..GenerateOptions::default() };
    let go_on = &mut |_: lapidary::engine::Piece<'_>| ControlFlow::Continue(());
    let (generations, _) = engine.generate(&sequences, None, &options, go_on).unwrap();
    (values, generations.into_iter().map(|generation| generation.token_ids).collect())
}

fn same_from_the_cache(placement: &Placement) {
    let directory = tempfile::tempdir().unwrap();
    let client = placement.client();
    let cache = || ExecutableCache::new(ExecutableStore::new(directory.path(), MAX_BYTES), client);
    let uncached = load(placement, ExecutableCache::off("to compare with"));
    let expected = answers(&uncached);
    assert!(!uncached.is_compile_cached());

    let fresh = load(placement, cache());
    assert_eq!(answers(&fresh), expected);
    let compilations = fresh.compilations();
    assert!(compilations.len() >= 3, "{compilations:?}");
    for compilation in &compilations {
        let CacheOutcome::Miss { reason: MissReason::Absent, not_stored: None } = compilation.cache else {
            panic!("{compilation:?}")
        };
    }
    assert!(!fresh.is_compile_cached());

    let cached = load(placement, cache());
    assert!(!cached.is_compile_cached(), "nothing was taken from it yet");
    assert_eq!(answers(&cached), expected);
    assert!(cached.is_compile_cached(), "{:?}", cached.compilations());
    let seconds = |engine: &Engine| engine.compile_time().as_secs_f64();
    println!("{placement}: compiled in {:.3} s, loaded in {:.3} s", seconds(&fresh), seconds(&cached));
}

fn on_mesh(client: &Client, mesh: &str) -> Placement {
    Placement::new(client, mesh.parse().unwrap(), ShardingRules::transformer()).unwrap()
}

#[test]
fn one_device_answers_alike() {
    let Some(client) = support::cpu() else { return };
    same_from_the_cache(&Placement::single(&client, &client.devices()[0]));
}

#[test]
fn a_mesh_answers_alike() {
    let Some(client) = support::cpu_devices(4) else { return };
    same_from_the_cache(&on_mesh(&client, "data=2,model=2"));
}

/// What becomes of one program with a store.
fn compilation(client: &Client, store: &ExecutableStore) -> Arc<Compilation> {
    let placement = Placement::single(client, &client.devices()[0]);
    let engine = load(&placement, ExecutableCache::new(store.clone(), client));
    let logits = engine.batch(1, 16).unwrap().decode(&[Some(7)]).unwrap();
    assert!(logits[0].iter().all(|logit| logit.is_finite()));
    let [only] = &engine.compilations()[..] else { panic!("{:?}", engine.compilations()) };
    Arc::clone(only)
}

fn is_hit(client: &Client, store: &ExecutableStore) -> bool {
    matches!(compilation(client, store).cache, CacheOutcome::Hit { .. })
}

/// Why a program was not taken from the store. It must have been put there.
fn miss(client: &Client, store: &ExecutableStore) -> String {
    match &compilation(client, store).cache {
        CacheOutcome::Miss { reason, not_stored: None } => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

fn only_entry(store: &ExecutableStore) -> PathBuf {
    let listed = store.list().unwrap();
    let [only] = &listed[..] else { panic!("{listed:?}") };
    only.path.clone()
}

/// An entry whose executable is half as long, and that is right in all else.
fn halved(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[LENGTH].try_into().unwrap());
    bytes.truncate(bytes.len() - length as usize / 2);
    bytes[LENGTH].copy_from_slice(&(length - length / 2).to_le_bytes());
    let checksum = Sha256::digest(&bytes[CHECKSUM.end..]);
    bytes[CHECKSUM].copy_from_slice(&checksum);
    bytes
}

#[test]
fn what_is_wrong_with_an_entry_is_told_and_mended() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let store = ExecutableStore::new(directory.path(), MAX_BYTES);
    assert_eq!(miss(&client, &store), "not there yet");
    assert!(is_hit(&client, &store));
    let entry = only_entry(&store);
    let sound = fs::read(&entry).unwrap();
    let (name, _) = ExecutableStore::describe(&store.list().unwrap()[0]).unwrap();
    assert_eq!(name, "gemma2_decode_b1_t1_c128_f32, layers: 2, cpu");

    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (damaged, what) in [
        (flipped(sound.len() / 2), "checksum"),
        (flipped(20), "another program's"),
        (flipped(0), "no executable of this cache"),
        (sound[..sound.len() / 2].to_vec(), "length"),
        (Vec::new(), "no executable of this cache"),
        (halved(sound.clone()), "the plugin does not load it"),
    ] {
        fs::write(&entry, damaged).unwrap();
        let reason = miss(&client, &store);
        assert!(reason.contains(what), "{reason} should say {what}");
        assert!(is_hit(&client, &store), "after: {what}");
        assert_eq!(only_entry(&store), entry);
    }
}

#[test]
fn devices_do_not_get_the_executables_of_others() {
    let (Some(one), Some(two)) = (support::cpu(), support::cpu_devices(2)) else { return };
    let directory = tempfile::tempdir().unwrap();
    let store = ExecutableStore::new(directory.path(), MAX_BYTES);
    assert_eq!(miss(&one, &store), "not there yet");
    assert_eq!(miss(&two, &store), "not there yet");
    assert!(is_hit(&one, &store) && is_hit(&two, &store));
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn a_disk_that_takes_nothing_is_no_error() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let compiled = compilation(&client, &ExecutableStore::new(&in_the_way, MAX_BYTES));
    let CacheOutcome::Miss { not_stored: Some(StoreError::Write { .. }), .. } = compiled.cache else {
        panic!("{compiled:?}")
    };
    let compiled = compilation(&client, &ExecutableStore::new(directory.path(), 1000));
    let CacheOutcome::Miss { not_stored: Some(StoreError::TooLarge { .. }), .. } = compiled.cache else {
        panic!("{compiled:?}")
    };
}

/// Two engines that miss the same programs at the same time both run.
#[test]
fn two_may_compile_the_same_at_a_time() {
    let Some(client) = support::cpu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let store = ExecutableStore::new(directory.path(), MAX_BYTES);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| compilation(&client, &store));
        }
    });
    assert!(is_hit(&client, &store));
    only_entry(&store);
}
