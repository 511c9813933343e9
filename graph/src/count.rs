//! Numbers of things in messages.

use std::fmt;

/// A number of things, as `1 result` or `2 results`: number, singular, plural.
pub(crate) struct Count(pub(crate) usize, pub(crate) &'static str, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count(number, one, many) = self;
        write!(f, "{number} {}", if *number == 1 { one } else { many })
    }
}
