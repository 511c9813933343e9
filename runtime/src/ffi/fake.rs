//! A PJRT API made up for tests, with functions that real plugins do not fail in.

use std::ffi::{c_char, c_void};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::abi::{ApiHeader, PjrtError, PjrtEvent};
use super::api::Api;
use super::client::RawClient;
use super::event::RawEvent;
use super::functions::{Arguments, ErrorDestroy, ErrorGetCode, ErrorMessage, EventOnReady, PluginInitialize};
use super::library::check_version;
use super::slots::SLOTS;
use crate::execution::{Completion, DeferredError};
use crate::{Error, ErrorCode, Event, MIN_API_MINOR};

const WORDS: usize = size_of::<ApiHeader>() / size_of::<usize>();

/// The words of a `PJRT_Api` whose slots are all empty.
struct Table(Vec<usize>);

impl Table {
    fn new(major: i32, minor: i32) -> Self {
        let mut words = vec![0usize; WORDS + SLOTS.len()];
        words[0] = words.len() * size_of::<usize>();
        words[WORDS - 1] = (major as u32 as usize) | ((minor as u32 as usize) << 32);
        Self(words)
    }

    fn with<A: Arguments>(mut self, function: *const c_void) -> Self {
        self.0[A::SLOT_OFFSET / size_of::<usize>()] = function as usize;
        self
    }

    fn truncated(mut self, slots: usize) -> Self {
        self.0[0] = (WORDS + slots) * size_of::<usize>();
        self
    }

    fn into_api(self) -> Api {
        let table = NonNull::from(Box::leak(self.0.into_boxed_slice())).cast::<ApiHeader>();
        // SAFETY: the table is leaked, so that it lives as long as the process.
        unsafe { Api::new(table, "fake.so") }
    }
}

/// Stands for the address of any PJRT object.
fn object<T>() -> NonNull<T> {
    NonNull::dangling()
}

static DESTROYED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn error_message(args: *mut ErrorMessage) {
    const MESSAGE: &str = "it broke";
    // SAFETY: called with a live struct.
    let args = unsafe { &mut *args };
    args.message = MESSAGE.as_ptr().cast::<c_char>();
    args.message_size = MESSAGE.len();
}

unsafe extern "C" fn error_code(args: *mut ErrorGetCode) -> *mut PjrtError {
    // SAFETY: called with a live struct.
    unsafe { (*args).code = 15 };
    null_mut()
}

unsafe extern "C" fn error_destroy(_: *mut ErrorDestroy) {
    DESTROYED.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn fail(_: *mut PluginInitialize) -> *mut PjrtError {
    object().as_ptr()
}

/// Calls back at once, with an error.
unsafe extern "C" fn on_ready(args: *mut EventOnReady) -> *mut PjrtError {
    // SAFETY: called with a live struct whose callback takes its `user_arg` once.
    unsafe {
        let args = &*args;
        args.callback.unwrap()(object().as_ptr(), args.user_arg);
    }
    null_mut()
}

fn failing_table() -> Table {
    Table::new(0, MIN_API_MINOR)
        .with::<ErrorMessage>(error_message as *const c_void)
        .with::<ErrorGetCode>(error_code as *const c_void)
        .with::<ErrorDestroy>(error_destroy as *const c_void)
        .with::<PluginInitialize>(fail as *const c_void)
        .with::<EventOnReady>(on_ready as *const c_void)
}

#[test]
fn a_missing_function_is_unsupported() {
    let empty_slot = Table::new(0, 90).into_api();
    // PJRT_Plugin_Initialize is slot 3, so that a table of three slots ends before it.
    let short_table = failing_table().truncated(3).into_api();
    for api in [empty_slot, short_table] {
        let error = api.initialize().unwrap_err();
        assert!(error.is_unsupported());
        let Error::Unsupported { plugin, function, version } = error else { panic!("{error}") };
        assert_eq!((plugin.as_str(), function), ("fake.so", "PJRT_Plugin_Initialize"));
        assert_eq!(version, api.version());
    }
}

#[test]
fn versions_that_are_not_supported_are_named() {
    for (major, minor, advice) in [(0, MIN_API_MINOR - 1, "a newer"), (0, 54, "a newer"), (1, 0, "an older")]
    {
        let error = check_version(&Table::new(major, minor).into_api(), "fake.so").unwrap_err().to_string();
        assert!(error.contains(&format!("PJRT API {major}.{minor},")), "{error}");
        assert!(error.contains(&format!("install {advice} version")), "{error}");
    }
    for minor in [MIN_API_MINOR, 10_000] {
        check_version(&Table::new(0, minor).into_api(), "fake.so").unwrap();
    }
}

#[test]
fn an_error_keeps_function_code_and_message_and_is_freed() {
    let api = failing_table().into_api();
    let before = DESTROYED.load(Ordering::SeqCst);
    let error = api.initialize().unwrap_err();
    assert_eq!(error.to_string(), "PJRT_Plugin_Initialize failed with DATA_LOSS: it broke");
    assert!(DESTROYED.load(Ordering::SeqCst) > before);

    // Even a plugin that cannot tell its errors returns errors.
    let mute = Table::new(0, 90).with::<PluginInitialize>(fail as *const c_void).into_api();
    let error = mute.initialize().unwrap_err();
    assert!(matches!(error, Error::Call { code: ErrorCode::Unknown, .. }), "{error}");
}

#[test]
fn the_error_of_a_dropped_completion_is_kept() {
    let api = failing_table().into_api();
    // SAFETY: the fake API never looks at the client or the event.
    let event = unsafe {
        let client = Arc::new(RawClient::from_raw(&api, object()));
        RawEvent::new(&client, object::<PjrtEvent>(), "PJRT_LoadedExecutable_Execute")
    };
    let deferred = Arc::new(DeferredError::default());
    drop(Completion::new(vec![Event::new(event)], &deferred));
    let error = deferred.take().expect("the error is kept");
    assert_eq!(error.to_string(), "PJRT_LoadedExecutable_Execute failed with DATA_LOSS: it broke");
    assert!(deferred.take().is_none(), "and returned once");
}
