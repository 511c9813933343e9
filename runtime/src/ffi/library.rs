//! Loading a plugin's shared library.

use std::collections::HashSet;
use std::error::Error as _;
use std::ffi::c_void;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use libloading::Library;

use super::abi::ApiHeader;
use super::api::Api;
use crate::plugin::{API_MAJOR, MIN_API_MINOR};
use crate::{Error, Result};

/// Tables whose plugin was initialised. `PJRT_Plugin_Initialize` is to be called once, and loading a library
/// twice gives the same table.
static INITIALIZED: Mutex<Option<HashSet<usize>>> = Mutex::new(None);

/// Loads and initialises the plugin at `path`. It stays loaded for the life of the process: plugins start
/// threads and register exit handlers, and none supports being unloaded.
pub(crate) fn load(path: &Path) -> Result<Api> {
    // The dynamic linker searches its own directories for a name without a slash, and says little about a
    // file that is missing; opening the file first gives the better error.
    File::open(path).map_err(|reason| Error::PluginNotReadable { path: path.to_path_buf(), reason })?;
    let path = &std::path::absolute(path)
        .map_err(|reason| Error::PluginNotReadable { path: path.to_path_buf(), reason })?;

    // SAFETY: loading runs the library's initialisers. That a plugin path is trusted code is the caller's
    // decision, as documented on `Plugin::load`.
    let library = unsafe { open(path) }.map_err(|error| {
        // What the linker said is a source of the error and not in its own message.
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Error::PluginNotLoadable { path: path.clone(), reason }
    })?;
    let library = ManuallyDrop::new(library);

    // SAFETY: `GetPjrtApi` is the one exported function of the PJRT plugin ABI and has this type.
    let table = unsafe {
        let get_pjrt_api = library
            .get::<unsafe extern "C" fn() -> *mut c_void>(b"GetPjrtApi\0")
            .map_err(|_| not_a_plugin(path, "it does not export GetPjrtApi"))?;
        get_pjrt_api()
    };
    let table = NonNull::new(table.cast::<ApiHeader>())
        .ok_or_else(|| not_a_plugin(path, "GetPjrtApi returned nothing"))?;
    // SAFETY: every version of the ABI starts with its size.
    let table_size = unsafe { table.cast::<usize>().read() };
    if table_size < size_of::<ApiHeader>() {
        return Err(not_a_plugin(path, "its PJRT_Api is too small to hold a version"));
    }

    let plugin = path.display().to_string();
    // SAFETY: the table belongs to a library that is never unloaded.
    let api = unsafe { Api::new(table, &plugin) };
    check_version(&api, &plugin)?;

    let mut initialized = INITIALIZED.lock().unwrap_or_else(PoisonError::into_inner);
    let initialized = initialized.get_or_insert_default();
    if !initialized.contains(&api.address()) {
        api.initialize()?;
        initialized.insert(api.address());
    }
    Ok(api)
}

/// Binds all symbols at once: the first call of one that is missing would otherwise end the process.
///
/// # Safety
/// Those of [`Library::new`].
#[cfg(unix)]
unsafe fn open(path: &Path) -> std::result::Result<Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: the caller's.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

/// # Safety
/// Those of [`Library::new`].
#[cfg(not(unix))]
unsafe fn open(path: &Path) -> std::result::Result<Library, libloading::Error> {
    // SAFETY: the caller's.
    unsafe { Library::new(path) }
}

/// Refuses plugins whose structs or functions these bindings do not fit.
pub(super) fn check_version(api: &Api, plugin: &str) -> Result<()> {
    let found = api.version();
    if found.major != API_MAJOR || found.minor < MIN_API_MINOR {
        return Err(Error::IncompatibleApi { plugin: plugin.to_owned(), found });
    }
    Ok(())
}

fn not_a_plugin(path: &Path, reason: &str) -> Error {
    Error::NotAPlugin { path: path.to_path_buf(), reason: reason.to_owned() }
}
