//! The plugin's table of handlers, which it reads and writes without a lock.
//!
//! XLA keeps handlers in a map of the process: registering writes to it, and whatever makes an executable reads it, on
//! threads that know nothing of each other. So those wait for each other here.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::abi::Handler;
use crate::Result;
use crate::ffi::api::Api;

/// A handler's name and address, and the address of the function table of the plugin that knows it.
type Registered = (&'static str, usize, usize);

static REGISTERED: RwLock<Option<HashSet<Registered>>> = RwLock::new(None);

/// No handler is registered while this exists: held wherever a plugin may look handlers up.
#[derive(Debug)]
pub(crate) struct Lookups {
    _guard: RwLockReadGuard<'static, Option<HashSet<Registered>>>,
}

/// Waits for a registration that is under way.
pub(crate) fn lookups() -> Lookups {
    Lookups { _guard: REGISTERED.read().unwrap_or_else(PoisonError::into_inner) }
}

/// Registers by `register`, alone and the first time only.
///
/// # Errors
/// That of `register`, which the next call tries again.
pub(super) fn once(
    plugin: &Api,
    name: &'static str,
    handler: Handler,
    register: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let key = (name, handler as usize, plugin.address());
    let is_registered =
        |set: &Option<HashSet<Registered>>| set.as_ref().is_some_and(|set| set.contains(&key));
    // Programs that are being compiled are waited for only where there is something to change.
    if is_registered(&REGISTERED.read().unwrap_or_else(PoisonError::into_inner)) {
        return Ok(());
    }
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if !is_registered(&registered) {
        register()?;
        registered.get_or_insert_default().insert(key);
    }
    Ok(())
}
