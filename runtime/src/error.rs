//! Everything that can go wrong between this crate and a plugin.

use std::fmt;
use std::path::PathBuf;

use crate::{Shape, Value, ValueKind};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the PJRT runtime layer.
///
/// [`Error::Call`] came from the plugin; every other variant was found here, before the plugin was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plugin file does not exist or cannot be read.
    #[error("cannot read PJRT plugin {path}: {reason}", path = path.display())]
    PluginNotReadable {
        /// Path that was given.
        path: PathBuf,
        /// The operating system's reason.
        reason: std::io::Error,
    },

    /// The dynamic linker refused the file.
    #[error("cannot load PJRT plugin {path}: {reason}", path = path.display())]
    PluginNotLoadable {
        /// Path that was given.
        path: PathBuf,
        /// The dynamic linker's reason, e.g. `invalid ELF header` or a library that it depends on.
        reason: String,
    },

    /// A shared library, but not a PJRT plugin.
    #[error(
        "{path} is a shared library but not a PJRT plugin: {reason}; give the path of a plugin, \
         such as xla_cpu_pjrt.so or libtpu.so",
        path = path.display()
    )]
    NotAPlugin {
        /// Path that was given.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },

    /// The plugin speaks a version of the PJRT API that these bindings do not.
    #[error(
        "PJRT plugin {plugin} has PJRT API {found}, but {required_major}.{required_minor} or a later \
         {required_major}.x is needed; install {age} version of the plugin",
        required_major = crate::plugin::API_MAJOR,
        required_minor = crate::plugin::MIN_API_MINOR,
        age = if found.major > crate::plugin::API_MAJOR { "an older" } else { "a newer" }
    )]
    IncompatibleApi {
        /// Path of the plugin.
        plugin: String,
        /// Version that the plugin reports.
        found: crate::ApiVersion,
    },

    /// The plugin does not have a function.
    #[error("PJRT plugin {plugin} (PJRT API {version}) does not provide {function}")]
    Unsupported {
        /// Path of the plugin.
        plugin: String,
        /// Name of the C function.
        function: &'static str,
        /// API version that the plugin reports.
        version: crate::ApiVersion,
    },

    /// A call into the plugin failed.
    #[error("{function} failed with {code}: {message}")]
    Call {
        /// Name of the C function, or of the function whose event carried the error.
        function: &'static str,
        /// Status code.
        code: ErrorCode,
        /// The plugin's message.
        message: String,
    },

    /// The plugin broke the contract of the PJRT API.
    #[error("{function} broke the PJRT contract: {message}")]
    Contract {
        /// Name of the C function.
        function: &'static str,
        /// What was returned and what should have been.
        message: String,
    },

    /// An option has a value of the wrong type.
    #[error("option `{name}` takes {expected}, but was given {found}")]
    OptionType {
        /// Name of the option.
        name: String,
        /// Type that the option takes.
        expected: ValueKind,
        /// Value that was given.
        found: Value,
    },

    /// An option has a value out of range.
    #[error("option `{name}` must be {expected}, but is {found}")]
    OptionRange {
        /// Name of the option.
        name: String,
        /// The allowed range, in words.
        expected: String,
        /// Value that was given.
        found: Value,
    },

    /// The platform does not know an option and would ignore it silently.
    #[error("the `{platform}` platform has no option `{name}`; it has: {known}")]
    UnknownOption {
        /// Name of the option.
        name: String,
        /// Platform name.
        platform: String,
        /// Names of the options that it has.
        known: String,
    },

    /// A string holds a byte that C strings cannot.
    #[error("{what} holds a NUL byte: {text:?}")]
    NulByte {
        /// What the string is.
        what: &'static str,
        /// The string.
        text: String,
    },

    /// No device has an id.
    #[error("no device has id {id}; the platform's {count} devices have ids {ids}")]
    NoSuchDevice {
        /// Id that was asked for.
        id: i32,
        /// Number of devices.
        count: usize,
        /// Their ids, abbreviated.
        ids: String,
    },

    /// An operation needs a device of this process.
    #[error("device {id} belongs to process {process_index}, so that this process cannot use it")]
    NotAddressable {
        /// Global id of the device.
        id: i32,
        /// Process that it belongs to.
        process_index: i32,
    },

    /// Compile options that no plugin could honour.
    #[error("invalid compile options: {0}")]
    CompileOptions(String),

    /// The host data does not have the size that the shape says.
    #[error("host data for {shape} must have {expected} bytes, but has {found}")]
    HostSize {
        /// Shape of the array.
        shape: Shape,
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        found: usize,
    },

    /// Byte strides that do not describe an array inside the host data.
    #[error("byte strides {strides:?} of {shape} {problem}")]
    HostStrides {
        /// Shape of the array.
        shape: Shape,
        /// Strides in bytes, one for each dimension.
        strides: Vec<usize>,
        /// What is wrong with them.
        problem: String,
    },

    /// A shape too large to have a size in bytes, or with a dimension that PJRT cannot express.
    #[error("the shape {shape} is too large")]
    ShapeTooLarge {
        /// The shape.
        shape: Shape,
    },

    /// A buffer has an element type that this crate does not have.
    #[error("{function} returned PJRT element type {code}, which is not supported here")]
    UnknownElementType {
        /// Name of the C function.
        function: &'static str,
        /// The `PJRT_Buffer_Type`.
        code: i32,
    },

    /// A buffer was read as another element type than it has.
    #[error("cannot read a {shape} buffer as {requested}")]
    ElementTypeMismatch {
        /// Shape of the buffer.
        shape: Shape,
        /// Rust type that was asked for.
        requested: &'static str,
    },

    /// A buffer, device or executable of one client was given to another.
    #[error("{what} belongs to another client")]
    ForeignClient {
        /// What was given.
        what: String,
    },

    /// The arguments of an execution do not fit the executable.
    #[error("cannot execute `{executable}`: {problem}")]
    Arguments {
        /// Name of the executable.
        executable: String,
        /// What does not fit.
        problem: ArgumentsProblem,
    },

    /// An execution failed after its completion had been dropped without being waited for.
    ///
    /// The next execution of the same executable reports it, so that it is not lost.
    #[error("an earlier execution of `{executable}` that nobody waited for had failed")]
    EarlierExecution {
        /// Name of the executable.
        executable: String,
        /// The failure.
        source: Box<Error>,
    },

    /// A plugin returned a message that does not decode.
    #[error("cannot decode the {what} that the plugin returned")]
    Decode {
        /// Name of the message.
        what: &'static str,
        /// The decoder's reason.
        source: prost::DecodeError,
    },
}

impl Error {
    /// Whether the plugin says that it has no more memory, or nothing more of another resource.
    pub fn is_resource_exhausted(&self) -> bool {
        match self {
            Error::Call { code, .. } => *code == ErrorCode::ResourceExhausted,
            Error::EarlierExecution { source, .. } => source.is_resource_exhausted(),
            _ => false,
        }
    }

    /// Whether the plugin says that it does not implement what was asked.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Error::Unsupported { .. } | Error::Call { code: ErrorCode::Unimplemented, .. })
    }
}

/// Why arguments do not fit an executable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentsProblem {
    /// Not one argument list for each device.
    #[error(
        "it runs on {expected} devices of this process, but argument lists for {found} devices were given"
    )]
    DeviceCount {
        /// Addressable devices of the executable.
        expected: usize,
        /// Argument lists given.
        found: usize,
    },
    /// Too few or too many arguments.
    #[error("it takes {expected} arguments, but {found} were given for device {device}")]
    Count {
        /// Parameters of the program.
        expected: usize,
        /// Arguments given.
        found: usize,
        /// Global id of the device.
        device: i32,
    },
    /// An argument has another shape or element type than the parameter.
    #[error("parameter {index} is {expected}, but the argument for device {device} is {found}")]
    Shape {
        /// Index of the parameter.
        index: usize,
        /// Global id of the device.
        device: i32,
        /// Shape of the parameter.
        expected: Shape,
        /// Shape of the argument.
        found: Shape,
    },
    /// An argument lies on another device.
    #[error("argument {index} must be on device {expected}, but is on device {found}")]
    Device {
        /// Index of the parameter.
        index: usize,
        /// Global id of the device that the program runs on.
        expected: i32,
        /// Global id of the device that the buffer is on.
        found: i32,
    },
    /// An argument was deleted.
    #[error("argument {index} for device {device} is a deleted buffer")]
    Deleted {
        /// Index of the parameter.
        index: usize,
        /// Global id of the device.
        device: i32,
    },
    /// Donated on one device and borrowed on another.
    #[error("argument {index} is donated on some devices and borrowed on others")]
    MixedDonation {
        /// Index of the parameter.
        index: usize,
    },
    /// The executable was deleted.
    #[error("the executable was deleted")]
    ExecutableDeleted,
}

/// Status code of a PJRT error (the codes of `absl::Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The operation was cancelled.
    Cancelled,
    /// No better code is known.
    Unknown,
    /// The caller passed something invalid.
    InvalidArgument,
    /// A deadline passed.
    DeadlineExceeded,
    /// Something asked for does not exist.
    NotFound,
    /// Something to be created exists already.
    AlreadyExists,
    /// The caller may not do this.
    PermissionDenied,
    /// Memory or another resource is used up.
    ResourceExhausted,
    /// The system is not in the state that the operation needs.
    FailedPrecondition,
    /// The operation was aborted.
    Aborted,
    /// A value lies outside its range.
    OutOfRange,
    /// The plugin does not implement this.
    Unimplemented,
    /// An invariant of the plugin is broken.
    Internal,
    /// The service is not available now.
    Unavailable,
    /// Data was lost.
    DataLoss,
    /// The caller is not authenticated.
    Unauthenticated,
    /// A code that is not among the above.
    Other(i32),
}

impl ErrorCode {
    pub(crate) fn from_raw(code: i32) -> Self {
        match code {
            1 => Self::Cancelled,
            2 => Self::Unknown,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Other(code) => return write!(f, "status code {code}"),
        };
        f.write_str(name)
    }
}
