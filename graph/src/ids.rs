//! Typed arena indices whose `Display` is the text form.

use std::fmt;

macro_rules! arena_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(u32);

        impl $name {
            /// The id of the arena's `index`-th entry.
            ///
            /// Arenas hold fewer than 2^32 entries: a larger index saturates, and the verifier reports
            /// the id as out of range.
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }

            /// The position in the arena.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

arena_id!(
    /// A value of one function: a parameter or an operation's result.
    ValueId, "%v"
);
arena_id!(
    /// An operation of one function.
    OpId, "op"
);
arena_id!(
    /// A function of a module.
    FuncId, "@f"
);
arena_id!(
    /// A name scope of a module, such as `layers.7.self_attn`.
    ScopeId, "scope"
);
