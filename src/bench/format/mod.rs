//! Reports as text.

mod csv;
mod markdown;
mod number;

pub(super) use csv::csv;
pub(super) use markdown::markdown;
