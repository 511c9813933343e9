//! Safe PJRT: plugins, clients, buffers, executables.

pub mod plugins;
