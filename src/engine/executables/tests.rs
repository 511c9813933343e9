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
fn what_is_made_ahead_begins_when_it_is_asked_for() {
    let table = Arc::new(SharedTable::default());
    let programs = [program(1), program(2)];
    let _awaited = table.claim(&[program(3)], true);
    let ahead = table.claim(&programs, false);
    let (sender, receiver) = channel();
    let begin = || {
        let (table, sender) = (Arc::clone(&table), sender.clone());
        thread::spawn(move || {
            table.let_others_go_first(&programs);
            sender.send(()).unwrap();
        })
    };
    let waiting = begin();
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "nobody has come for either");
    let asking = {
        let table = Arc::clone(&table);
        thread::spawn(move || table.ready_or_claim(program(2)).map_err(|claim| claim.program()))
    };
    receiver.recv_timeout(Duration::from_millis(900)).unwrap();
    waiting.join().unwrap();
    // It comes to nothing, and who asked has to make it.
    drop(ahead);
    assert_eq!(asking.join().unwrap().unwrap_err(), program(2));
}

#[test]
fn nothing_waits_for_others_when_all_is_to_be_done() {
    let table = Arc::new(SharedTable::default());
    let _ahead = table.claim(&[program(1)], false);
    let started = Instant::now();
    table.ask_for_all();
    table.let_others_go_first(&[program(1)]);
    let _other = table.claim(&[program(2)], false);
    table.close();
    table.let_others_go_first(&[program(2)]);
    assert!(started.elapsed() < Duration::from_millis(900) && table.is_closing());
}
