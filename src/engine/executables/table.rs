//! Which programs are executables, and who makes those that are not yet.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Executable, Maker};
use crate::engine::cache::{CacheOutcome, Compilation, EngineProgram};
use crate::engine::{EngineError, lock};

/// How long what is made ahead lets what is waited for go first, and run: an executable of the cache is there by then, and
/// a short prompt is read, both sooner than with something else beside them. What takes longer is being compiled or has
/// much to read, and something can be made meanwhile.
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
    waiting_time: Duration,
    closing: bool,
}

/// What is known of a program. One that nobody has begun has no slot.
#[derive(Debug)]
enum Slot {
    InTheMaking {
        /// Whether somebody has come for it meanwhile.
        asked_for: bool,
    },
    Ready(Executable),
}

impl Table {
    /// Whether somebody waits for a program that is in the making.
    fn is_asked_for(&self, program: &EngineProgram) -> bool {
        matches!(self.slots.get(program), Some(Slot::InTheMaking { asked_for: true }))
    }
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
        table.slots.insert(program, Slot::InTheMaking { asked_for: awaited });
        Some(Claim { table: Arc::clone(self), program, awaited })
    }

    /// The executable of a program, once whoever makes it is done; or the right to make it, if nobody does.
    pub(super) fn ready_or_claim(self: &Arc<Self>, program: EngineProgram) -> Result<Executable, Claim> {
        let mut table = lock(&self.table);
        loop {
            match table.slots.get_mut(&program) {
                Some(Slot::Ready(executable)) => return Ok(executable.clone()),
                // Told once: whoever waits is woken by it and comes here again.
                Some(Slot::InTheMaking { asked_for }) if !*asked_for => {
                    *asked_for = true;
                    self.changed.notify_all();
                }
                Some(Slot::InTheMaking { .. }) | None => {}
            }
            if let Some(claim) = self.claim_one(&mut table, program, true) {
                return Err(claim);
            }
            table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until somebody asks for one of `programs`, or for [`HEAD_START`].
    pub(super) fn let_others_go_first(&self, programs: &[EngineProgram]) {
        let is_early =
            |table: &mut Table| !table.closing && !programs.iter().any(|program| table.is_asked_for(program));
        // Who holds a poisoned lock has changed nothing by half.
        let _ = self.changed.wait_timeout_while(lock(&self.table), HEAD_START, is_early);
    }

    /// As if somebody had asked for all that is in the making.
    pub(super) fn ask_for_all(&self) {
        for slot in lock(&self.table).slots.values_mut() {
            if let Slot::InTheMaking { asked_for } = slot {
                *asked_for = true;
            }
        }
        self.changed.notify_all();
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
        if let Some(Slot::InTheMaking { .. }) = table.slots.get(&self.program) {
            table.slots.remove(&self.program);
        }
        drop(table);
        self.table.changed.notify_all();
    }
}
