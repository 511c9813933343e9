//! The compositions of `nn` against plain formulas in f64, through the reference interpreter.
//!
//! The formulas share nothing with the compositions: loops over slices, one number at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod activation;
mod attention;
mod cache;
mod cache_half;
mod encoded;
mod harness;
mod linear_embed;
mod norm;
mod rope;
mod sampler;
mod sampling;
#[path = "../support/sampling_reference.rs"]
mod sampling_reference;
mod softmax;
