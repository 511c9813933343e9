//! Threads that share the parts of one piece of work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// A pool of threads. The caller of [`Pool::run`] is one of them.
///
/// Between pieces of work the threads look for the next one for a few microseconds before they sleep: a step of a
/// model calls kernels one after the other, and waking a thread costs more than a small kernel.
#[derive(Debug)]
pub struct Pool {
    threads: usize,
    shared: Option<Arc<Shared>>,
}

/// A piece of work: called with the number of each part.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

#[derive(Debug)]
struct Shared {
    /// Raised with every job, so that a thread that looks for work need not take the lock.
    epoch: AtomicUsize,
    slot: Mutex<Slot>,
    published: Condvar,
    /// Held by the caller whose work is being done.
    caller: Mutex<()>,
}

#[derive(Debug, Default)]
struct Slot {
    job: Option<Job>,
    closing: bool,
}

/// Work under way, as the threads see it.
#[derive(Clone, Copy, Debug)]
struct Job {
    work: *const Work<'static>,
    progress: *const Progress,
}

// SAFETY: both pointers are to values that may be shared between threads, and outlive the job: see `Pool::run`.
unsafe impl Send for Job {}

#[derive(Debug)]
struct Progress {
    parts: usize,
    next: AtomicUsize,
    /// Threads other than the caller that hold the job.
    helpers: AtomicUsize,
    failed: AtomicUsize,
}

impl Progress {
    /// Does parts until none is left. A part that panics is counted, not passed on.
    fn work(&self, work: &Work<'_>) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(part))).is_err() {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Progress {
    fn wait_for_helpers(&self) {
        let mut looks = 0;
        while self.helpers.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
            } else {
                // A helper may be without a processor; it must not be this thread that has it.
                thread::yield_now();
            }
        }
    }
}

/// How often a thread looks before it sleeps or yields.
const LOOKS: usize = 200;

impl Pool {
    /// A pool of this many threads, the caller included; of as many as can be started, at least that one.
    pub fn new(threads: usize) -> Self {
        if threads <= 1 {
            return Self { threads: 1, shared: None };
        }
        let shared = Arc::new(Shared {
            epoch: AtomicUsize::new(0),
            slot: Mutex::new(Slot::default()),
            published: Condvar::new(),
            caller: Mutex::new(()),
        });
        let start = |index: usize| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("kernels-{index}"));
            thread.spawn(move || shared.serve()).is_ok()
        };
        let started = (1..threads).take_while(|&index| start(index)).count();
        Self { threads: started + 1, shared: Some(shared) }
    }

    /// The pool of this process, with a thread for each processor that it may use.
    pub fn global() -> &'static Pool {
        static GLOBAL: OnceLock<Pool> = OnceLock::new();
        GLOBAL.get_or_init(|| Pool::new(thread::available_parallelism().map_or(1, |n| n.get())))
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` once for each number below `parts`, on whichever threads come first, and returns when all
    /// calls have returned. Where the pool is at work for someone else, the caller does it alone.
    ///
    /// # Panics
    /// If a part did.
    pub fn run(&self, parts: usize, work: &Work<'_>) {
        let progress = Progress {
            parts,
            next: AtomicUsize::new(0),
            helpers: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        };
        let shared = self.shared.as_deref().filter(|_| parts > 1);
        match shared.and_then(|shared| Some((shared, shared.caller.try_lock().ok()?))) {
            Some((shared, _turn)) => {
                shared.publish(Job { work: erase(work), progress: &progress });
                progress.work(work);
                // From here on no thread takes the job; those that hold it still use `work` and `progress`.
                shared.slot().job = None;
                progress.wait_for_helpers();
            }
            None => progress.work(work),
        }
        let failed = progress.failed.load(Ordering::Relaxed);
        assert!(failed == 0, "{failed} of {parts} parts of a kernel's work panicked");
    }

    /// Calls `work` with each chunk of `len` elements (the last may be shorter) and its number, as [`run`](Self::run).
    ///
    /// # Panics
    /// If `len` is zero, or a part panicked.
    pub fn each_chunk<T: Send>(&self, data: &mut [T], len: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
        let total = data.len();
        let start = Address(data.as_mut_ptr());
        self.run(total.div_ceil(len), &|part| {
            let first = part * len;
            // SAFETY: `first` lies within the slice, and no two parts have elements in common.
            let chunk =
                unsafe { std::slice::from_raw_parts_mut(start.get().add(first), len.min(total - first)) };
            work(part, chunk);
        });
    }
}

/// The address of what several threads write to, each its own elements.
pub(crate) struct Address<T>(pub(crate) *mut T);

// SAFETY: whoever writes through the address says why no one else writes there.
unsafe impl<T: Send> Sync for Address<T> {}

impl<T> Address<T> {
    /// The address. A method, so that a closure takes all of `self` and not the pointer in it.
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.slot().closing = true;
            shared.published.notify_all();
        }
    }
}

/// Forgets how long `work` lives.
fn erase(work: &Work<'_>) -> *const Work<'static> {
    // SAFETY: only the lifetime changes. `Pool::run` returns after the last thread has let go of the pointer.
    unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Nothing panics while it holds the lock.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, job: Job) {
        let mut slot = self.slot();
        slot.job = Some(job);
        // Under the lock, or a thread between its look and its sleep would miss it.
        self.epoch.fetch_add(1, Ordering::Release);
        drop(slot);
        self.published.notify_all();
    }

    /// What a thread does: take jobs until the pool is dropped.
    fn serve(&self) {
        let mut seen = 0;
        while let Some(job) = self.take(&mut seen) {
            // SAFETY: the job was in its slot when `take` counted this thread among its helpers, and
            // `Pool::run` waits for them before either pointer's value goes.
            let (work, progress) = unsafe { (&*job.work, &*job.progress) };
            progress.work(work);
            progress.helpers.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a job after the one that was `seen` last; `None` when the pool closes.
    fn take(&self, seen: &mut usize) -> Option<Job> {
        for _ in 0..LOOKS {
            if self.epoch.load(Ordering::Acquire) != *seen {
                break;
            }
            std::hint::spin_loop();
        }
        let mut slot = self.slot();
        loop {
            if slot.closing {
                return None;
            }
            let epoch = self.epoch.load(Ordering::Acquire);
            if let Some(job) = slot.job.filter(|_| epoch != *seen) {
                *seen = epoch;
                // SAFETY: a job in the slot is one that its caller has not begun to take back.
                unsafe { &*job.progress }.helpers.fetch_add(1, Ordering::Relaxed);
                return Some(job);
            }
            slot = self.published.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once() {
        let pool = Pool::new(4);
        for parts in [0, 1, 2, 3, 17, 1000] {
            let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            pool.run(parts, &|part| {
                done[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{parts} parts");
        }
    }

    #[test]
    fn callers_at_the_same_time_each_get_their_work_done() {
        let pool = Pool::new(3);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let sum = AtomicUsize::new(0);
                        pool.run(10, &|part| {
                            sum.fetch_add(part, Ordering::Relaxed);
                        });
                        assert_eq!(sum.into_inner(), 45);
                    }
                });
            }
        });
    }

    #[test]
    #[should_panic(expected = "1 of 8 parts")]
    fn a_panic_in_a_part_reaches_the_caller() {
        Pool::new(2).run(8, &|part| assert_ne!(part, 5));
    }
}
