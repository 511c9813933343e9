//! What can go wrong while measuring.

use lapidary_graph::BuildError;
use lapidary_graph::verify::Violations;
use lapidary_lower::LowerError;

use crate::engine::EngineError;

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The engine's reason.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no room for the buffer that is read to find the memory's bandwidth.
    #[error(
        "the read bandwidth cannot be measured: no room for a buffer of {bytes} bytes; end other programs"
    )]
    ProbeMemory {
        /// Bytes of the buffer.
        bytes: usize,
    },
    /// A defect of a program that finds a device's limits.
    #[error("the program `{program}`, which measures the device, is defective")]
    ProbeProgram {
        /// Which program.
        program: &'static str,
        /// Cause.
        #[source]
        source: Box<ProbeProgramError>,
    },
    /// The device does not make up what such a program takes.
    #[error("the device does not make up the operands of the program `{program}`, which measures it")]
    ProbeOperands {
        /// Which program.
        program: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The plugin does not compile or run a program that finds a device's limits.
    #[error("the program `{program}`, which measures the device, failed")]
    Probe {
        /// Which program.
        program: &'static str,
        /// Cause.
        #[source]
        source: Box<lapidary_runtime::Error>,
    },
}

/// What is wrong with a program that finds a device's limits.
#[derive(Debug, thiserror::Error)]
pub enum ProbeProgramError {
    /// An operation does not fit its operands.
    #[error(transparent)]
    Build(Box<BuildError>),
    /// The module breaks rules of the IR.
    #[error("it breaks rules of the IR:\n{0}")]
    Invalid(Box<Violations>),
    /// The module has no StableHLO.
    #[error(transparent)]
    Lower(Box<LowerError>),
}
