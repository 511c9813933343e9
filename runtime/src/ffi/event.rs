//! Events: completion of asynchronous work, with its error.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::{PjrtError, PjrtEvent};
use super::api::Api;
use super::client::RawClient;
use super::functions::{EventAwait, EventDestroy, EventIsReady, EventOnReady};
use crate::Result;

/// An owned `PJRT_Event`.
pub(crate) struct RawEvent {
    handle: EventHandle,
    /// The function whose asynchronous part the event reports on; its errors carry this name.
    function: &'static str,
    /// The work that completes the event needs the client.
    _client: Arc<RawClient>,
}

struct EventHandle {
    api: Api,
    event: NonNull<PjrtEvent>,
}

// SAFETY: PJRT events may be waited for and destroyed on any thread.
unsafe impl Send for EventHandle {}
// SAFETY: the functions that take a shared event are thread-safe.
unsafe impl Sync for EventHandle {}

impl Drop for EventHandle {
    fn drop(&mut self) {
        let mut args = EventDestroy::new();
        args.event = self.event.as_ptr();
        // SAFETY: the event is owned and not used again. A failure to free leaves nothing to be done.
        let _ = unsafe { self.api.call(&mut args) };
    }
}

type Continuation = Box<dyn FnOnce(Result<()>) + Send>;

/// What a callback owns: the event that it waits for and what to do then. It holds no client, because the
/// last reference to a client must not be dropped on one of the client's own threads.
struct Pending {
    handle: EventHandle,
    function: &'static str,
    continuation: Continuation,
}

impl RawEvent {
    /// Whether `event.on_ready` can be used; to be asked before work starts that depends on it.
    pub(super) fn require_on_ready(api: &Api) -> Result<()> {
        api.require::<EventOnReady>()
    }

    /// # Safety
    /// `event` is a live event of `client`'s plugin that nothing else owns.
    pub(super) unsafe fn new(
        client: &Arc<RawClient>,
        event: NonNull<PjrtEvent>,
        function: &'static str,
    ) -> Self {
        let handle = EventHandle { api: client.api().clone(), event };
        Self { handle, function, _client: client.clone() }
    }

    pub(crate) fn is_ready(&self) -> Result<bool> {
        let mut args = EventIsReady::new();
        args.event = self.handle.event.as_ptr();
        // SAFETY: the event is alive.
        unsafe { self.handle.api.call(&mut args)? };
        Ok(args.is_ready)
    }

    /// Blocks until the work is done and returns its error, if any.
    pub(crate) fn wait(&self) -> Result<()> {
        let api = &self.handle.api;
        let mut args = EventAwait::new();
        args.event = self.handle.event.as_ptr();
        // SAFETY: the event is alive.
        let error = unsafe { api.call_raw(&mut args)? };
        api.check(error, self.function)
    }

    /// Runs `continuation` with the work's result once it is done: at once on this thread, or later on a
    /// thread of the plugin. If the callback cannot be registered, the continuation is leaked together with
    /// all that it owns: the plugin may still be using it.
    pub(crate) fn on_ready(self, continuation: impl FnOnce(Result<()>) + Send + 'static) -> Result<()> {
        let api = self.handle.api.clone();
        let mut args = EventOnReady::new();
        args.event = self.handle.event.as_ptr();
        args.callback = Some(run_pending);
        let pending =
            Pending { handle: self.handle, function: self.function, continuation: Box::new(continuation) };
        args.user_arg = Box::into_raw(Box::new(pending)).cast::<c_void>();
        // SAFETY: the event is alive; `user_arg` stays alive until `run_pending` takes it back.
        unsafe { api.call(&mut args) }
    }
}

/// Takes back what [`RawEvent::on_ready`] left with the plugin, and runs it.
///
/// # Safety
/// `user_arg` came from `on_ready` and is passed once; `error` is null or an owned error.
unsafe extern "C" fn run_pending(error: *mut PjrtError, user_arg: *mut c_void) {
    // SAFETY: `on_ready` made this pointer from a box, and the plugin calls back once.
    let pending = *unsafe { Box::from_raw(user_arg.cast::<Pending>()) };
    let result = pending.handle.api.check(error, pending.function);
    (pending.continuation)(result);
    // The event goes last, when the plugin is done with everything that the continuation released.
    drop(pending.handle);
}
