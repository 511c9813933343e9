//! What the CPU plugin (`xla-cpu-pjrt` 0.0.1) does not do, or not as the specification says.
//!
//! Every entry is asserted: a case that starts to pass must come off the list.

use crate::case::Case;

/// How the plugin fails a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// It does not compile the program, and this is part of its message.
    Refuses(&'static str),
    /// It ends the process while compiling: a C++ exception leaves the C API.
    Aborts,
    /// Its results are others, for this reason.
    Differs(#[expect(dead_code, reason = "for the reader")] &'static str),
}

/// Subject, element types (all if empty), failure.
const FAILURES: &[(&str, &[&str], Failure)] = &[
    ("transpose", &["s4", "u4"], Failure::Aborts),
    ("popcnt", &["s4"], Failure::Differs("the operand is extended to eight bits, sign and all")),
    ("power of large exponents", &[], Failure::Differs("exponents count modulo 64")),
    ("dot matrices to s32", &["s4"], Failure::Refuses(WIDENED_4_BIT)),
    ("dot transposed to s32", &["s4"], Failure::Refuses(WIDENED_4_BIT)),
    ("dot vectors to s32", &["s4"], Failure::Refuses(WIDENED_4_BIT)),
    ("dot matrices to u32", &["u4"], Failure::Refuses(WIDENED_4_BIT)),
    ("dot transposed to u32", &["u4"], Failure::Refuses(WIDENED_4_BIT)),
    ("dot vectors to u32", &["u4"], Failure::Refuses(WIDENED_4_BIT)),
];

const WIDENED_4_BIT: &str = "does not support custom element sizes on non-sub-byte types";

/// How the plugin fails `case`, if it is known to.
pub(crate) fn failure(case: &Case) -> Option<Failure> {
    let concerns = |subject: &str, dtypes: &[&str]| {
        subject == case.subject && (dtypes.is_empty() || dtypes.contains(&case.dtype.name()))
    };
    FAILURES.iter().find(|(subject, dtypes, _)| concerns(subject, dtypes)).map(|&(_, _, failure)| failure)
}
