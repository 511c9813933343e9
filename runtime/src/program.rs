//! Programs as a compiler takes and returns them.

/// A program to compile.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    format: &'static str,
    code: &'a [u8],
}

impl<'a> Program<'a> {
    /// StableHLO as MLIR text.
    pub fn stablehlo(text: &'a str) -> Self {
        Self::mlir(text.as_bytes())
    }

    /// StableHLO as MLIR bytecode, portable artifact or text.
    pub fn mlir(code: &'a [u8]) -> Self {
        Self { format: "mlir", code }
    }

    /// A serialized `HloModuleProto`.
    pub fn hlo(code: &'a [u8]) -> Self {
        Self { format: "hlo", code }
    }

    /// PJRT's name of the format.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// The code, in [`format`](Self::format).
    pub fn code(&self) -> &'a [u8] {
        self.code
    }
}

/// A program after the compiler's optimisations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptimizedProgram {
    /// PJRT's name of the format: `hlo`, or `hlo_with_config` for a `HloModuleProtoWithConfig`, whose field 1
    /// is the `HloModuleProto`.
    pub format: String,
    /// The code, in `format`.
    pub code: Vec<u8>,
}
