//! The executables of an engine. Each program becomes one once: when it is needed, or ahead of that, in a thread of its
//! own that nobody waits for.

mod maker;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lapidary_runtime::LoadedExecutable;

use super::cache::{Compilation, EngineProgram};
use super::programs::CompiledProgram;
use super::{EngineError, lock};

pub(super) use maker::Maker;
use table::{Claim, SharedTable};

/// A program that can be run.
#[derive(Clone, Debug)]
pub(super) enum Executable {
    /// A step of the model.
    Step(Arc<CompiledProgram>),
    /// A copy into a longer cache.
    Growth(Arc<LoadedExecutable>),
}

/// The executables that there are, and what makes more of them.
#[derive(Debug)]
pub(super) struct Executables {
    maker: Arc<Maker>,
    table: Arc<SharedTable>,
    /// Threads that make what is not needed yet.
    ahead: Mutex<Vec<JoinHandle<()>>>,
}

impl Executables {
    pub(super) fn new(maker: Maker) -> Self {
        Self { maker: Arc::new(maker), table: Arc::default(), ahead: Mutex::default() }
    }

    /// From now on another maker makes what there is not yet.
    pub(super) fn set_maker(&mut self, maker: Maker) {
        self.maker = Arc::new(maker);
    }

    /// Returns once all of `now` are there, having made those that were not, at the same time. Those of `later` are begun,
    /// but not waited for: [`get`](Self::get) does that. Where there is something to do before, they let it go first. One
    /// that fails meanwhile is made again when it is needed, and fails there.
    ///
    /// # Errors
    /// If one of `now` cannot be made.
    pub(super) fn prepare(&self, now: &[EngineProgram], later: &[EngineProgram]) -> Result<(), EngineError> {
        let started = Instant::now();
        let are_ready = self.table.are_ready(now);
        // All claims come before the first is acted upon, so that `later` knows of `now`.
        let (claims, ahead) = (self.table.claim(now, true), self.table.claim(later, false));
        self.make_ahead(ahead, !now.is_empty());
        let made = make_together(&self.maker, claims)
            .and_then(|()| now.iter().try_for_each(|program| self.wait_for(*program).map(drop)));
        if !are_ready {
            self.table.add_waiting_time(started.elapsed());
        }
        made
    }

    /// The executable of a program, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn get(&self, program: EngineProgram) -> Result<Executable, EngineError> {
        self.prepare(&[program], &[])?;
        self.wait_for(program)
    }

    /// The executables that were made so far, in their order.
    pub(super) fn compilations(&self) -> Vec<Arc<Compilation>> {
        self.table.compilations()
    }

    /// Time that callers waited for executables.
    pub(super) fn waiting_time(&self) -> Duration {
        self.table.waiting_time()
    }

    /// Says that of all the waiting so far no more than `time` was for executables alone.
    pub(super) fn set_waiting_time(&self, time: Duration) {
        self.table.set_waiting_time(time);
    }

    /// Waits until nothing is made ahead any more.
    pub(super) fn settle(&self) {
        self.table.ask_for_all();
        let threads = std::mem::take(&mut *lock(&self.ahead));
        for thread in threads {
            // A thread that panicked has said so, and its program is made again when it is needed.
            let _ = thread.join();
        }
    }

    /// The executable of a program, once whoever makes it is done; made here if nobody does.
    fn wait_for(&self, program: EngineProgram) -> Result<Executable, EngineError> {
        loop {
            match self.table.ready_or_claim(program) {
                Ok(executable) => return Ok(executable),
                Err(claim) => claim.make(&self.maker)?,
            }
        }
    }

    /// Makes programs in a thread of its own, one after the other: it has the time, and others need the processors.
    fn make_ahead(&self, claims: Vec<Claim>, others_go_first: bool) {
        if claims.is_empty() {
            return;
        }
        let (maker, table) = (Arc::clone(&self.maker), Arc::clone(&self.table));
        let make = move || {
            if others_go_first {
                table.let_others_go_first(&claims.iter().map(Claim::program).collect::<Vec<_>>());
            }
            for claim in claims {
                if table.is_closing() {
                    return;
                }
                // Claims that come to nothing are free again: whoever needs the program gets the error.
                let _ = claim.make(&maker);
            }
        };
        let mut threads = lock(&self.ahead);
        threads.retain(|thread| !thread.is_finished());
        // Without a thread the claims are free again, too.
        threads.extend(thread::Builder::new().name("executables".to_owned()).spawn(make));
    }
}

impl Drop for Executables {
    /// Waits for what is being made, but not for what has not begun: a compiler must not outlive its plugin, or run on
    /// while the process takes down what it uses.
    fn drop(&mut self) {
        self.table.close();
        self.settle();
    }
}

/// Makes programs at the same time.
fn make_together(maker: &Maker, claims: Vec<Claim>) -> Result<(), EngineError> {
    thread::scope(|scope| {
        let make = |claim: Claim| (claim.program(), scope.spawn(move || claim.make(maker)));
        let threads: Vec<_> = claims.into_iter().map(make).collect();
        let ends: Vec<_> = threads.into_iter().map(|(program, thread)| (program, thread.join())).collect();
        ends.into_iter()
            .try_for_each(|(program, end)| end.map_err(|_| EngineError::CompilerThread(program))?)
    })
}
