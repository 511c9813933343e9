//! Completion of asynchronous work.

use crate::Result;
use crate::ffi::event::RawEvent;

/// Asynchronous work that can be waited for. Waiting returns the work's error.
#[must_use = "an event that is not waited for may hide an error"]
pub struct Event {
    raw: RawEvent,
}

impl Event {
    pub(crate) fn new(raw: RawEvent) -> Self {
        Self { raw }
    }

    /// Whether the work is done, successfully or not.
    ///
    /// # Errors
    /// If the plugin cannot tell; not if the work failed.
    pub fn is_ready(&self) -> Result<bool> {
        self.raw.is_ready()
    }

    /// Blocks until the work is done.
    ///
    /// # Errors
    /// The error that the work failed with.
    pub fn wait(&self) -> Result<()> {
        self.raw.wait()
    }

    pub(crate) fn into_raw(self) -> RawEvent {
        self.raw
    }
}
