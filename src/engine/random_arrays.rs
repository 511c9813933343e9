//! Arrays of random numbers that a device makes itself, so that nothing large travels to it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;

use lapidary_graph::op::{BinaryKind, UnaryKind};
use lapidary_graph::verify::verify_program;
use lapidary_graph::{BuildError, DType, FunctionBuilder, Module, TensorType, ValueId, nn};
use lapidary_lower::{Target, lower};
use lapidary_models::synth::Normal;
use lapidary_runtime::{Buffer, Device, ElementType, Execution, LoadedExecutable};

use super::cache::ExecutableCache;
use super::compile::{compile_options, lower_options};
use super::{EngineError, Placement};

/// Makes arrays on the device of a placement of one. Arrays of one type share a program.
pub(crate) struct RandomArrays<'p> {
    placement: &'p Placement,
    device: &'p Device,
    target: Target,
    cache: &'p ExecutableCache,
    programs: HashMap<TensorType, LoadedExecutable>,
}

impl<'p> RandomArrays<'p> {
    /// A maker of arrays whose programs come from `cache` where it has them.
    ///
    /// # Errors
    /// If the platform has no target table, or no device is this process's.
    pub(crate) fn new(placement: &'p Placement, cache: &'p ExecutableCache) -> Result<Self, EngineError> {
        let platform = placement.client().platform_name();
        let unknown = || EngineError::Platform(platform.to_string());
        let target = Target::of_platform(platform).ok_or_else(unknown)?.clone();
        let device = placement.addressable_devices().next().ok_or_else(unknown)?;
        Ok(Self { placement, device, target, cache, programs: HashMap::new() })
    }

    /// An array of type `ty` of numbers from a normal distribution; the same for the same `key`.
    ///
    /// # Errors
    /// If the program does not compile or run, as where the device has no room.
    pub(crate) fn make(
        &mut self,
        ty: &TensorType,
        Normal { mean, std }: Normal,
        key: u64,
    ) -> Result<Buffer, Box<dyn Error + Send + Sync>> {
        let client = self.placement.client();
        let key = [key as u32, (key >> 32) as u32];
        let key = client.buffer_from_host(bytemuck::cast_slice(&key), ElementType::U32, &[2], self.device)?;
        let normal = [mean as f32, std as f32];
        let normal =
            client.buffer_from_host(bytemuck::cast_slice(&normal), ElementType::F32, &[2], self.device)?;
        let program = self.program(ty)?;
        let arguments = vec![(&key).into(), (&normal).into()];
        let results = program.execute(vec![arguments]).and_then(Execution::wait)?;
        Ok(results.into_iter().flatten().next().ok_or("the program has no result")?)
    }

    fn program(&mut self, ty: &TensorType) -> Result<&LoadedExecutable, Box<dyn Error + Send + Sync>> {
        match self.programs.entry(ty.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(missing) => {
                let module = module(ty)?;
                let text = lower(verify_program(&module)?, &lower_options(self.placement, &self.target))?;
                let options = compile_options(self.placement, &self.target);
                let name = format!("{}, {}", module.name, self.placement);
                let client = self.placement.client();
                let (executable, _) = self.cache.load_or_compile(client, &text, &options, &name)?;
                Ok(missing.insert(executable))
            }
        }
    }
}

/// A program of a key (`[2]` u32) and a distribution (`[2]` f32, mean and standard deviation). Each element depends on
/// them and on its place alone.
fn module(ty: &TensorType) -> Result<Module, BuildError> {
    let dims: Vec<String> = ty.dims.iter().map(ToString::to_string).collect();
    let mut module = Module::new(format!("random_{}_{}", dims.join("x"), ty.dtype));
    let mut b = FunctionBuilder::new(&mut module, "main");
    let key = b.param("key", TensorType::new(DType::U32, [2]));
    let normal = b.param("normal", TensorType::new(DType::F32, [2]));
    let words = ty.with_dtype(DType::U32);
    let key = [element(&mut b, key, 0, &words)?, element(&mut b, key, 1, &words)?];
    let zero = b.splat(0.0, &words)?;
    let counter = [place(&mut b, &words)?, zero];
    let words = nn::threefry_2x32(&mut b, key, counter)?;
    let deviations = standard_normal(&mut b, words)?;
    let floats = ty.with_dtype(DType::F32);
    let (mean, std) = (element(&mut b, normal, 0, &floats)?, element(&mut b, normal, 1, &floats)?);
    let scaled = b.mul(deviations, std)?;
    let moved = b.add(scaled, mean)?;
    let result = b.convert(moved, ty.dtype)?;
    b.finish(&[result]);
    Ok(module)
}

/// The element at `index` of a vector, as every element of an array of type `ty`.
fn element(
    b: &mut FunctionBuilder<'_>,
    vector: ValueId,
    index: usize,
    ty: &TensorType,
) -> Result<ValueId, BuildError> {
    let element = b.slice_dim(vector, 0, index, index + 1)?;
    let element = b.reshape(element, &[])?;
    b.broadcast(element, &ty.dims, &[])
}

/// The place of each element in row-major order, modulo 2^32.
fn place(b: &mut FunctionBuilder<'_>, words: &TensorType) -> Result<ValueId, BuildError> {
    let mut place = b.splat(0.0, words)?;
    for (dim, &size) in words.dims.iter().enumerate() {
        let size = b.splat(size as f64, words)?;
        let row = b.mul(place, size)?;
        let along = b.iota(words.clone(), dim)?;
        place = b.add(row, along)?;
    }
    Ok(place)
}

/// A standard normal number of two random words.
///
/// Source: Box and Muller, "A note on the generation of random normal deviates", 1958. 24 bits of each word count, so
/// that no number is farther than 5.8 from 0.
fn standard_normal(
    b: &mut FunctionBuilder<'_>,
    [radius, angle]: [ValueId; 2],
) -> Result<ValueId, BuildError> {
    let radius = unit(b, radius, 1.0)?;
    let floats = b.ty(radius)?;
    let log = b.unary(UnaryKind::Log, radius)?;
    let minus_two = b.splat(-2.0, &floats)?;
    let squared = b.mul(log, minus_two)?;
    let radius = b.unary(UnaryKind::Sqrt, squared)?;
    let angle = unit(b, angle, 0.0)?;
    let turn = b.splat(std::f64::consts::TAU, &floats)?;
    let angle = b.mul(angle, turn)?;
    let cosine = b.unary(UnaryKind::Cosine, angle)?;
    b.mul(radius, cosine)
}

/// The upper 24 bits of a word and `offset`, over 2^24.
fn unit(b: &mut FunctionBuilder<'_>, word: ValueId, offset: f64) -> Result<ValueId, BuildError> {
    let words = b.ty(word)?;
    let eight = b.splat(8.0, &words)?;
    let upper = b.binary(BinaryKind::ShiftRightLogical, word, eight)?;
    let upper = b.convert(upper, DType::F32)?;
    let floats = b.ty(upper)?;
    let (offset, scale) = (b.splat(offset, &floats)?, b.splat(2f64.powi(-24), &floats)?);
    let moved = b.add(upper, offset)?;
    b.mul(moved, scale)
}
