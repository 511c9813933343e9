//! Tests over made-up wheels, interpreters and environments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod companions;
mod discovery;
mod fixture;
mod installation;
