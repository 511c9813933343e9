//! Types of results.

use half::bf16;

/// What a kernel may round its f32 sums to.
pub trait Element: Copy + Send + Sync + sealed::Sealed {
    /// The nearest value, ties to even.
    fn round(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn round(value: f32) -> Self {
        value
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn round(value: f32) -> Self {
        bf16::from_f32(value)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}
