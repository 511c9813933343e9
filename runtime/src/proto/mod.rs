//! Protocol buffer messages of XLA, with only the fields that are used.
//!
//! Derived by hand from `xla/pjrt/proto/compile_options.proto`, `xla/xla_data.proto` and
//! `xla/service/hlo.proto`. Decoding skips the fields that are left out.

pub(crate) mod compile_options;
pub(crate) mod hlo;
