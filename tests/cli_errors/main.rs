//! The built command and bad input: each gets one clear message that names the culprit, exit code 2, and
//! nothing on standard output; never a panic, an abort, a hang or a half-written file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod checkpoint;
#[path = "../support/command.rs"]
mod command;
mod compile;
mod damage;
mod eval;
mod export;
mod flags;
mod input;
mod inspect;
mod interrupt;
mod mesh;
mod output;
mod plan;
mod plugin;
#[path = "../support/plugin.rs"]
mod plugin_file;
mod resources;
mod sandbox;
mod weights;
