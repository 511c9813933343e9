//! A model that runs from a bundle gives the answers of one that is compiled, and a bundle that is for something else, or
//! is not what it was, is refused with what differs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod bundles;
#[path = "../support/command.rs"]
mod command;
mod commands;
mod damage;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod variants;
