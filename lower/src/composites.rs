//! What became of the composites of a program.

use std::fmt;

use lapidary_graph::TensorType;

/// A composite, and what was lowered for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoweredComposite {
    /// Its name, such as `lapidary.linear`.
    pub composite: String,
    /// Where in the model it is, such as `layers.7.self_attn.q_proj`.
    pub path: String,
    /// The kernel that is called, by the name under which it is registered; or why the decomposition stands there.
    pub kernel: Result<&'static str, Decomposed>,
}

/// Why a composite was lowered as its decomposition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decomposed {
    /// The target has no kernel for composites of this name.
    NoKernel,
    /// There is one, which was not asked for.
    SwitchedOff,
    /// There is one, which does not take operands of these types.
    Operands(Vec<TensorType>),
    /// There is one, but the compiler is to split the program over a mesh and cannot split a call.
    Mesh,
}

impl Decomposed {
    /// A name for it: one word, which stays what it is.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoKernel => "no_kernel",
            Self::SwitchedOff => "switched_off",
            Self::Operands(_) => "operands",
            Self::Mesh => "mesh",
        }
    }
}

impl fmt::Display for Decomposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel => f.write_str("the target has no kernel for it"),
            Self::SwitchedOff => f.write_str("its kernel is switched off"),
            Self::Operands(types) => {
                f.write_str("its kernel does not take ")?;
                for (i, ty) in types.iter().enumerate() {
                    write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Mesh => f.write_str("a call cannot be split over a mesh"),
        }
    }
}
