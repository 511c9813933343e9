//! How long work reports where it is, and how its caller stops it.

use std::ops::ControlFlow;

/// How far a piece of work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes (or what else the work counts) dealt with so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Called every few MiB, or after each step of other work. `Break` cancels the work, which then undoes what it began and says [`Cancelled`].
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// The work was stopped by its progress callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Adds up the bytes done and passes them on.
pub(crate) struct Meter<'a> {
    progress: Progress,
    report: OnProgress<'a>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(total: u64, report: OnProgress<'a>) -> Self {
        Self { progress: Progress { done: 0, total }, report }
    }

    pub(crate) fn advance(&mut self, bytes: usize) -> Result<(), Cancelled> {
        self.progress.done += bytes as u64;
        match (self.report)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Cancelled),
        }
    }
}
