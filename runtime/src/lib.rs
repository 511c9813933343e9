//! Safe PJRT: plugins, clients, buffers, executables.
//!
//! PJRT is the C API through which XLA's compilers and runtimes for CPU, GPU and TPU are used; a plugin is a
//! shared library that implements it. This crate takes program bytes and typed arrays and knows nothing of
//! graphs or models.
//!
//! ```no_run
//! use lapidary_runtime::{Client, ClientOptions, CompileOptions, ElementType, Plugin, Program};
//!
//! # fn main() -> lapidary_runtime::Result<()> {
//! let plugin = Plugin::load("xla_cpu_pjrt.so")?;
//! let client = Client::create(&plugin, &ClientOptions::new())?;
//! let program = Program::stablehlo(
//!     "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
//!        %y = stablehlo.add %x, %x : tensor<2xf32>
//!        return %y : tensor<2xf32>
//!      }",
//! );
//! let executable = client.compile(&program, &CompileOptions::new())?;
//! let x = [1.0f32, 2.0];
//! let device = &executable.addressable_devices()[0];
//! let x = client.buffer_from_host(bytemuck::cast_slice(&x), ElementType::F32, &[2], device)?;
//! let outputs = executable.run(vec![(&x).into()])?;
//! assert_eq!(outputs[0].to_vec::<f32>()?, [2.0, 4.0]);
//! # Ok(())
//! # }
//! ```
//!
//! Handles share ownership of what they depend on and can be used from any thread. Unsafe code is confined to
//! the `ffi` module.

mod buffer;
mod client;
mod client_options;
mod compile_options;
mod custom_call;
mod device;
mod element_type;
mod error;
mod event;
mod executable;
mod execution;
mod ffi;
mod host;
pub mod kernels;
mod plugin;
pub mod plugins;
mod program;
mod proto;
mod shape;
mod topology;
mod value;

pub use buffer::Buffer;
pub use client::Client;
pub use client_options::ClientOptions;
pub use compile_options::{CompileOptions, CompilerFlag};
pub use custom_call::{Call, CallError, CustomCall, Operand, Updated};
pub use device::{Device, DeviceDescription, Memory, MemoryStats};
pub use element_type::{Element, ElementType};
pub use error::{ArgumentsProblem, Error, ErrorCode, Result};
pub use event::Event;
pub use executable::{CompiledMemoryStats, Executable, LoadedExecutable, Parameter};
pub use execution::{Argument, Completion, Execution};
pub use host::{HostMemory, SharedBytes};
pub use plugin::{API_MAJOR, ApiVersion, MIN_API_MINOR, Plugin};
pub use program::{OptimizedProgram, Program};
pub use shape::Shape;
pub use topology::Topology;
pub use value::{Attributes, Value, ValueKind};
