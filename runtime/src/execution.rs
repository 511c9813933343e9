//! Running executables: arguments, completion, and errors that arrive late.

use std::sync::{Arc, Mutex, PoisonError};

use crate::ffi::executable::RawExecution;
use crate::{ArgumentsProblem, Buffer, Client, Error, Event, LoadedExecutable, Result};

/// An argument of an execution.
#[derive(Debug)]
pub enum Argument<'a> {
    /// The program reads the buffer, which stays valid and unchanged even if the program declares that an
    /// output may take over its memory.
    Borrowed(&'a Buffer),
    /// The buffer is given away. An output takes over its memory if the program says so, as for a KV cache
    /// that is updated in place; otherwise it is freed.
    Donated(Buffer),
}

impl Argument<'_> {
    pub(crate) fn buffer(&self) -> &Buffer {
        match self {
            Self::Borrowed(buffer) => buffer,
            Self::Donated(buffer) => buffer,
        }
    }

    fn is_donated(&self) -> bool {
        matches!(self, Self::Donated(_))
    }
}

impl<'a> From<&'a Buffer> for Argument<'a> {
    fn from(buffer: &'a Buffer) -> Self {
        Self::Borrowed(buffer)
    }
}

impl From<Buffer> for Argument<'_> {
    fn from(buffer: Buffer) -> Self {
        Self::Donated(buffer)
    }
}

/// An execution that was started.
#[must_use = "the execution's error is in its completion"]
#[derive(Debug)]
pub struct Execution {
    outputs: Vec<Vec<Buffer>>,
    completion: Completion,
}

impl Execution {
    pub(crate) fn new(client: &Client, raw: RawExecution, deferred: &Arc<DeferredError>) -> Result<Self> {
        let events = raw.done.into_iter().map(Event::new).collect();
        let completion = Completion::new(events, deferred);
        let outputs = raw
            .outputs
            .into_iter()
            .map(|list| list.into_iter().map(|buffer| Buffer::new(client, buffer)).collect())
            .collect::<Result<_>>()?;
        Ok(Self { outputs, completion })
    }

    /// Waits for the computation and returns the outputs of each addressable device.
    ///
    /// # Errors
    /// The first error of any device.
    pub fn wait(self) -> Result<Vec<Vec<Buffer>>> {
        self.completion.wait()?;
        Ok(self.outputs)
    }

    /// The outputs of each addressable device, not yet computed, and the completion to wait for. Reading an
    /// output waits for it.
    pub fn into_parts(self) -> (Vec<Vec<Buffer>>, Completion) {
        (self.outputs, self.completion)
    }
}

/// The end of an execution on all addressable devices.
///
/// If it is dropped without being waited for, a failure of the execution is kept and returned by the next
/// execution of the same executable.
#[must_use = "the execution's error is in its completion"]
pub struct Completion {
    events: Vec<Event>,
    deferred: Arc<DeferredError>,
}

impl Completion {
    pub(crate) fn new(events: Vec<Event>, deferred: &Arc<DeferredError>) -> Self {
        Self { events, deferred: deferred.clone() }
    }

    /// Whether the execution is done on all devices, successfully or not.
    ///
    /// # Errors
    /// If the plugin cannot tell; not if the execution failed.
    pub fn is_ready(&self) -> Result<bool> {
        for event in &self.events {
            if !event.is_ready()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until the execution is done on all devices.
    ///
    /// # Errors
    /// The first error of any device.
    pub fn wait(mut self) -> Result<()> {
        // All devices are waited for, so that none is still running when an error is returned.
        let results = std::mem::take(&mut self.events).into_iter().map(|event| event.wait());
        results.collect::<Vec<_>>().into_iter().collect()
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        for event in self.events.drain(..) {
            let deferred = self.deferred.clone();
            let registered = event.into_raw().on_ready(move |result| {
                if let Err(error) = result {
                    deferred.put(error);
                }
            });
            if let Err(error) = registered {
                self.deferred.put(error);
            }
        }
    }
}

impl std::fmt::Debug for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Completion").field("devices", &self.events.len()).finish()
    }
}

/// The first error of executions that nobody waited for.
#[derive(Debug, Default)]
pub(crate) struct DeferredError(Mutex<Option<Error>>);

impl DeferredError {
    fn put(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Checks that the arguments fit the executable, as plugins do not all survive it if not. Returns the
/// indices of the arguments that must not be donated.
pub(crate) fn check_arguments(
    executable: &LoadedExecutable,
    arguments: &[Vec<Argument<'_>>],
) -> Result<Vec<i64>> {
    let error = |problem| Err(executable.arguments_error(problem));
    if executable.is_deleted() {
        return error(ArgumentsProblem::ExecutableDeleted);
    }
    let devices = executable.addressable_devices();
    if arguments.len() != devices.len() {
        return error(ArgumentsProblem::DeviceCount { expected: devices.len(), found: arguments.len() });
    }
    let Some(first) = arguments.first() else {
        return Ok(Vec::new());
    };
    let parameters = executable.parameters()?;
    let expected_count = parameters.map_or(first.len(), <[_]>::len);

    for (list, device) in arguments.iter().zip(devices) {
        if list.len() != expected_count {
            let (expected, found) = (expected_count, list.len());
            return error(ArgumentsProblem::Count { expected, found, device: device.id() });
        }
        for (index, (argument, first)) in list.iter().zip(first).enumerate() {
            let buffer = argument.buffer();
            if !executable.client().owns(buffer) {
                return Err(Error::ForeignClient { what: format!("argument {index}, {buffer:?},") });
            }
            if buffer.is_deleted()? {
                return error(ArgumentsProblem::Deleted { index, device: device.id() });
            }
            let actual = buffer.raw().device()?;
            if actual != *device.raw() {
                let found = executable.client().device_of(&actual)?.id();
                return error(ArgumentsProblem::Device { index, expected: device.id(), found });
            }
            if let Some(parameter) = parameters.and_then(|parameters| parameters.get(index))
                && parameter.shape != *buffer.shape()
            {
                let (expected, found) = (parameter.shape.clone(), buffer.shape().clone());
                return error(ArgumentsProblem::Shape { index, device: device.id(), expected, found });
            }
            if argument.is_donated() != first.is_donated() {
                return error(ArgumentsProblem::MixedDonation { index });
            }
        }
    }
    Ok((0i64..).zip(first).filter(|(_, argument)| !argument.is_donated()).map(|(index, _)| index).collect())
}
