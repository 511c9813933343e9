//! Who makes what, without a plugin: nothing here becomes an executable.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use lapidary_graph::DType;

use super::table::SharedTable;
use crate::engine::cache::EngineProgram;
use crate::engine::{CacheGrowth, EngineError};

fn program(from: usize) -> EngineProgram {
    EngineProgram::Growth(CacheGrowth { batch: 1, from, to: 2 * from, dtype: DType::F32, scales: false })
}

#[test]
fn a_program_is_made_by_one() {
    let table = Arc::new(SharedTable::default());
    let programs = [program(1), program(2)];
    let claims = table.claim(&programs[..1], true);
    assert_eq!(claims.len(), 1);
    let others = table.claim(&programs, false);
    assert_eq!(others.iter().map(|claim| claim.program()).collect::<Vec<_>>(), programs[1..]);
    assert!(!table.are_ready(&programs[..1]) && table.are_ready(&[]));
    // What came to nothing can be tried again.
    drop(claims);
    assert_eq!(table.claim(&programs, true).len(), 1);
}

#[test]
fn who_waits_for_a_failure_tries_himself() {
    let table = Arc::new(SharedTable::default());
    let claim = table.claim(&[program(1)], false).remove(0);
    let (sender, receiver) = channel();
    let waiting = {
        let table = Arc::clone(&table);
        thread::spawn(move || {
            let claim = table.ready_or_claim(program(1)).unwrap_err();
            sender.send(claim.program()).unwrap();
        })
    };
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "somebody else is at it");
    let failed = claim.fulfil(|program| Err(EngineError::CompilerThread(program)));
    assert!(matches!(failed, Err(EngineError::CompilerThread(_))));
    assert_eq!(receiver.recv().unwrap(), program(1));
    waiting.join().unwrap();
    assert!(table.compilations().is_empty());
}

#[test]
fn what_is_waited_for_goes_first() {
    let table = Arc::new(SharedTable::default());
    let ahead = table.claim(&[program(1)], false);
    let started = Instant::now();
    table.let_others_go_first();
    assert!(started.elapsed() < Duration::from_millis(500), "nobody waits for anything");
    let awaited = table.claim(&[program(2)], true);
    let (sender, receiver) = channel();
    let waiting = {
        let table = Arc::clone(&table);
        thread::spawn(move || {
            table.let_others_go_first();
            sender.send(()).unwrap();
        })
    };
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "somebody waits for the other");
    drop(awaited);
    receiver.recv().unwrap();
    waiting.join().unwrap();
    drop(ahead);
    // Nor does what ends wait.
    let _awaited = table.claim(&[program(2)], true);
    table.close();
    table.let_others_go_first();
    assert!(table.is_closing());
}
