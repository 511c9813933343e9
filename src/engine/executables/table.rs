//! Which programs are executables, and who makes those that are not yet.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Executable, Maker};
use crate::engine::cache::{CacheOutcome, Compilation, EngineProgram};
use crate::engine::{EngineError, lock};

/// How long what is made ahead lets what is waited for go first. An executable of the cache is there by then, alone and
/// sooner than beside another. What takes longer is being compiled, which both can be at the same time.
const HEAD_START: Duration = Duration::from_secs(1);

/// The table of an engine's executables, for all threads that make them.
#[derive(Debug, Default)]
pub(super) struct SharedTable {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<EngineProgram, Slot>,
    compilations: Vec<Arc<Compilation>>,
    /// Programs in the making that somebody waits for.
    awaited: usize,
    waiting_time: Duration,
    closing: bool,
}

/// What is known of a program. One that nobody has begun has no slot.
#[derive(Debug)]
enum Slot {
    InTheMaking,
    Ready(Executable),
}

impl SharedTable {
    pub(super) fn are_ready(&self, programs: &[EngineProgram]) -> bool {
        let table = lock(&self.table);
        programs.iter().all(|program| matches!(table.slots.get(program), Some(Slot::Ready(_))))
    }

    /// The right to make those of `programs` that nobody has made or begun. `awaited` says whether somebody waits for
    /// them.
    pub(super) fn claim(self: &Arc<Self>, programs: &[EngineProgram], awaited: bool) -> Vec<Claim> {
        let mut table = lock(&self.table);
        programs.iter().filter_map(|program| self.claim_one(&mut table, *program, awaited)).collect()
    }

    fn claim_one(
        self: &Arc<Self>,
        table: &mut Table,
        program: EngineProgram,
        awaited: bool,
    ) -> Option<Claim> {
        if table.slots.contains_key(&program) {
            return None;
        }
        table.slots.insert(program, Slot::InTheMaking);
        table.awaited += usize::from(awaited);
        Some(Claim { table: Arc::clone(self), program, awaited })
    }

    /// The executable of a program, once whoever makes it is done; or the right to make it, if nobody does.
    pub(super) fn ready_or_claim(self: &Arc<Self>, program: EngineProgram) -> Result<Executable, Claim> {
        let mut table = lock(&self.table);
        loop {
            if let Some(Slot::Ready(executable)) = table.slots.get(&program) {
                return Ok(executable.clone());
            }
            if let Some(claim) = self.claim_one(&mut table, program, true) {
                return Err(claim);
            }
            table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until no program that somebody waits for is in the making, or for [`HEAD_START`].
    pub(super) fn let_others_go_first(&self) {
        let others = |table: &mut Table| table.awaited > 0 && !table.closing;
        // Who holds a poisoned lock has changed nothing by half.
        let _ = self.changed.wait_timeout_while(lock(&self.table), HEAD_START, others);
    }

    /// Nothing is begun any more for which nobody waits.
    pub(super) fn close(&self) {
        lock(&self.table).closing = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        lock(&self.table).closing
    }

    pub(super) fn compilations(&self) -> Vec<Arc<Compilation>> {
        lock(&self.table).compilations.clone()
    }

    pub(super) fn waiting_time(&self) -> Duration {
        lock(&self.table).waiting_time
    }

    pub(super) fn add_waiting_time(&self, time: Duration) {
        lock(&self.table).waiting_time += time;
    }

    pub(super) fn set_waiting_time(&self, time: Duration) {
        lock(&self.table).waiting_time = time;
    }
}

/// The right to make a program, which nobody else makes meanwhile. Dropped without, it is free again.
pub(super) struct Claim {
    table: Arc<SharedTable>,
    program: EngineProgram,
    awaited: bool,
}

impl Claim {
    pub(super) fn program(&self) -> EngineProgram {
        self.program
    }

    /// Makes it.
    pub(super) fn make(self, maker: &Maker) -> Result<(), EngineError> {
        self.fulfil(|program| maker.make(program))
    }

    /// Puts what `make` makes into the table.
    pub(super) fn fulfil(
        self,
        make: impl FnOnce(EngineProgram) -> Result<(Executable, CacheOutcome), EngineError>,
    ) -> Result<(), EngineError> {
        let started = Instant::now();
        let (executable, cache) = make(self.program)?;
        let (program, time, ahead) = (self.program, started.elapsed(), !self.awaited);
        let mut table = lock(&self.table.table);
        table.compilations.push(Arc::new(Compilation { program, time, ahead, cache }));
        table.slots.insert(program, Slot::Ready(executable));
        Ok(())
    }
}

impl Drop for Claim {
    /// Those who wait look again.
    fn drop(&mut self) {
        let mut table = lock(&self.table.table);
        table.awaited -= usize::from(self.awaited);
        if let Some(Slot::InTheMaking) = table.slots.get(&self.program) {
            table.slots.remove(&self.program);
        }
        drop(table);
        self.table.changed.notify_all();
    }
}
