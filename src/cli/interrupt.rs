//! Ctrl-C: ends the program, unless work is under way that can stop by itself.

use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::low_level;

use super::exit::INTERRUPTED;

/// Set by the first Ctrl-C while somebody [catches](catch) it.
static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// Set by a termination request.
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// Whether Ctrl-C is ignored while nobody catches it.
static CONVERSING: AtomicBool = AtomicBool::new(false);
static CATCHERS: AtomicUsize = AtomicUsize::new(0);

/// While it lives, the first Ctrl-C only asks for a stop.
pub struct Catch(());

impl Drop for Catch {
    fn drop(&mut self) {
        CATCHERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts handling Ctrl-C and termination requests.
///
/// Outside a [`Catch`] they end the program at once, without running destructors: a plugin's threads may
/// be in the middle of anything. They are decided on where the signal arrives and not by a thread that is told of it:
/// on a busy machine such a thread runs late, and would stop the next work for a Ctrl-C that meant the last.
///
/// # Errors
/// If the system refuses the handlers.
pub fn install() -> std::io::Result<()> {
    // A file that would grow past the limit of `ulimit -f` is then an error like a full disk, and not the end.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    // Made here, since a handler must not be the first to ask for it.
    let requested = flag();
    for signal in [SIGINT, SIGTERM] {
        let requested = requested.clone();
        // SAFETY: the action works on atomic numbers and ends the process by `_exit`, both of which a handler may do.
        unsafe { low_level::register(signal, move || arrived(signal, &requested)) }?;
    }
    Ok(())
}

/// What a signal does. Called by its handler: nothing in it may lock or allocate.
fn arrived(signal: i32, requested: &AtomicBool) {
    if signal == SIGTERM {
        TERMINATED.store(true, Ordering::SeqCst);
    }
    let at_rest = CATCHERS.load(Ordering::SeqCst) == 0;
    if at_rest && signal == SIGINT && CONVERSING.load(Ordering::SeqCst) {
        return;
    }
    let asked_before = requested.swap(true, Ordering::SeqCst);
    if asked_before || at_rest {
        low_level::exit(INTERRUPTED.into());
    }
}

/// From now on, Ctrl-C stops work under way and else does nothing: one that comes a moment after the work is done
/// must not end a conversation.
pub fn converse() {
    CONVERSING.store(true, Ordering::SeqCst);
}

/// Does something that takes Ctrl-C for itself, and takes it back.
pub fn keeping<T>(work: impl FnOnce() -> T) -> T {
    let mut ours = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action asks for the present one, which the system writes to `ours`.
    let known = unsafe { libc::sigaction(SIGINT, std::ptr::null(), ours.as_mut_ptr()) } == 0;
    let result = work();
    if known {
        // SAFETY: the call above has initialised `ours`, and its handler is never taken down.
        unsafe { libc::sigaction(SIGINT, ours.as_ptr(), std::ptr::null_mut()) };
    }
    result
}

/// Makes Ctrl-C a request to stop, for work that looks at [`requested`].
pub fn catch() -> Catch {
    REQUESTED.store(false, Ordering::SeqCst);
    CATCHERS.fetch_add(1, Ordering::SeqCst);
    Catch(())
}

/// Whether a stop was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Whether a stop was asked for in order to end the program: Ctrl-C may mean only the work under way.
pub fn terminated() -> bool {
    TERMINATED.load(Ordering::SeqCst)
}

/// `Break` once a stop was asked for.
pub fn poll() -> ControlFlow<()> {
    if requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The flag itself, for work that watches one.
pub fn flag() -> Arc<AtomicBool> {
    REQUESTED.clone()
}
