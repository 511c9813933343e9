//! Programs that find a device's limits.

use std::time::Instant;

use lapidary_graph::op::BinaryKind;
use lapidary_graph::{BuildError, DType, FunctionBuilder, Module, TensorType, ValueId, verify_program};
use lapidary_lower::{LowerOptions, ShardingRules, Target, lower};
use lapidary_models::synth::Normal;
use lapidary_runtime::{
    Buffer, CompileOptions, CompilerFlag, ElementType, Execution, LoadedExecutable, Program,
};

use crate::bench::BenchError;
use crate::bench::error::ProbeProgramError;
use crate::engine::cache::ExecutableCache;
use crate::engine::random_arrays::RandomArrays;
use crate::engine::{Kernels, Placement};

/// A program on the first device of a placement, and the arrays that it takes: ones on a CPU, random numbers elsewhere.
pub(super) struct ProbeProgram {
    name: &'static str,
    executable: LoadedExecutable,
    arguments: Vec<Buffer>,
    work: f64,
}

impl ProbeProgram {
    /// The program `name`, which computes what `build` makes of parameters of the types `operands`, all bf16 or f32, by the
    /// platform's table with these kernels. A run of it does `work`, in operations or bytes.
    pub(super) fn new(
        placement: &Placement,
        kernels: Kernels,
        name: &'static str,
        operands: &[TensorType],
        work: f64,
        build: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<ValueId, BuildError>,
    ) -> Result<Self, BenchError> {
        let client = placement.client();
        let platform = client.platform_name();
        let failed = |source| BenchError::Probe { program: name, source: Box::new(source) };
        let device = placement.addressable_devices().next().ok_or_else(|| {
            failed(lapidary_runtime::Error::NoSuchDevice { id: 0, count: 0, ids: "none".to_string() })
        })?;
        let single = Placement::single(client, device);
        let target = kernels.target(&single)?;
        let text = program_text(name, operands, &target, build)
            .map_err(|source| BenchError::ProbeProgram { program: name, source: Box::new(source) })?;
        let flags = target.compiler_flags.iter();
        let options = flags.fold(CompileOptions::on_device(device.id()), |options, (name, value)| {
            options.flag(*name, CompilerFlag::Bool(*value))
        });
        let executable = client.compile(&Program::stablehlo(&text), &options).map_err(failed)?;
        let arguments = match platform {
            // Its clock does not depend on what it multiplies, and the operands lie in its own memory.
            "cpu" => {
                let upload = |ty: &TensorType| {
                    let (element_type, bytes) = ones(ty);
                    let buffer = client.buffer_from_host(&bytes, element_type, &ty.dims, device)?;
                    buffer.ready()?.wait()?;
                    Ok(buffer)
                };
                operands.iter().map(upload).collect::<Result<_, _>>().map_err(failed)?
            }
            // Products of equal numbers switch fewer transistors, so that a GPU would run faster than a model lets it.
            _ => {
                let cache = ExecutableCache::off("what measures a device is compiled each time");
                let mut arrays = RandomArrays::new(&single, &cache)?;
                let numbered = operands.iter().zip(0u64..);
                let make = |(ty, key)| arrays.make_whole(ty, Normal { mean: 0.0, std: 1.0 }, key);
                let made = numbered.map(make).collect::<Result<Vec<_>, _>>();
                let made = made.map_err(|source| BenchError::ProbeOperands { program: name, source })?;
                made.into_iter().flatten().collect()
            }
        };
        Ok(Self { name, executable, arguments, work })
    }

    /// What a run does, in operations or bytes.
    pub(super) fn work(&self) -> f64 {
        self.work
    }

    /// Runs the program. Returns the seconds until its result is there, on the device.
    pub(super) fn run(&self) -> Result<f64, BenchError> {
        let arguments = self.arguments.iter().map(Into::into).collect();
        let started = Instant::now();
        let finished = self.executable.execute(vec![arguments]).and_then(Execution::wait);
        let seconds = started.elapsed().as_secs_f64();
        finished.map_err(|source| BenchError::Probe { program: self.name, source: Box::new(source) })?;
        Ok(seconds)
    }
}

/// A program that sums an array of `bytes` bytes, which has no other work to speak of than reading it.
pub(super) fn read(placement: &Placement, bytes: usize) -> Result<ProbeProgram, BenchError> {
    let array = TensorType::new(DType::F32, [bytes / DType::F32.byte_width()]);
    ProbeProgram::new(placement, Kernels::OFF, "read_bandwidth", &[array], bytes as f64, sum)
}

fn sum(b: &mut FunctionBuilder<'_>, operands: &[ValueId]) -> Result<ValueId, BuildError> {
    let zero = b.splat(0.0, &TensorType::scalar(DType::F32))?;
    let add = b.combiner(BinaryKind::Add, DType::F32)?;
    match operands {
        [array] => b.reduce(*array, zero, &[0], add),
        _ => Ok(zero),
    }
}

fn program_text(
    name: &str,
    operands: &[TensorType],
    target: &Target,
    build: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<ValueId, BuildError>,
) -> Result<String, ProbeProgramError> {
    let mut module = Module::new(name);
    let mut b = FunctionBuilder::new(&mut module, "main");
    let params: Vec<ValueId> =
        operands.iter().enumerate().map(|(at, ty)| b.param(&format!("operand{at}"), ty.clone())).collect();
    let result = build(&mut b, &params).map_err(|error| ProbeProgramError::Build(Box::new(error)))?;
    b.finish(&[result]);
    let module =
        verify_program(&module).map_err(|violations| ProbeProgramError::Invalid(Box::new(violations)))?;
    lower(module, &LowerOptions { target, mesh: None, rules: &ShardingRules::none() })
        .map_err(|error| ProbeProgramError::Lower(Box::new(error)))
}

/// An array of ones as devices take it.
fn ones(ty: &TensorType) -> (ElementType, Vec<u8>) {
    let (element_type, one) = match ty.dtype {
        // bf16 is the upper half of f32.
        DType::BF16 => (ElementType::BF16, ((1f32.to_bits() >> 16) as u16).to_ne_bytes().to_vec()),
        _ => (ElementType::F32, 1f32.to_ne_bytes().to_vec()),
    };
    (element_type, one.repeat(ty.num_elements()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_a_program_on_every_target() {
        for target in Target::ALL {
            let text = program_text("read", &[TensorType::new(DType::F32, [1024])], target, sum).unwrap();
            assert!(text.contains("stablehlo.reduce") && text.contains("tensor<1024xf32>"), "{text}");
        }
    }

    #[test]
    fn ones_are_as_long_as_their_type_says() {
        for dtype in [DType::BF16, DType::F32] {
            let ty = TensorType::new(dtype, [3, 2]);
            assert_eq!(ones(&ty).1.len(), ty.byte_size());
        }
        assert_eq!(ones(&TensorType::new(DType::BF16, [1])).1, 0x3f80u16.to_ne_bytes());
    }
}
