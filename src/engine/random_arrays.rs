//! Arrays of random numbers that the devices make themselves, so that nothing large travels to them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;

use lapidary_graph::op::{BinaryKind, Comparison, UnaryKind};
use lapidary_graph::verify::verify_program;
use lapidary_graph::{BuildError, DType, FunctionBuilder, Module, TensorType, ValueId, nn};
use lapidary_lower::sharding::AxisUnits;
use lapidary_lower::{LowerOptions, Sharding, ShardingRules, Target, lower};
use lapidary_models::synth::Normal;
use lapidary_runtime::{Buffer, ElementType, Execution, LoadedExecutable};

use super::cache::ExecutableCache;
use super::compile::compile_options;
use super::placement::{Holder, Part};
use super::sharded_buffer::ShardedBuffer;
use super::{EngineError, Placement};

type Failure = Box<dyn Error + Send + Sync>;

/// Makes arrays on the devices of a placement. Arrays that are alike share a program, which every device runs by itself
/// for its own part.
pub(crate) struct RandomArrays<'p> {
    placement: &'p Placement,
    target: Target,
    cache: &'p ExecutableCache,
    programs: HashMap<Shard, LoadedExecutable>,
}

/// A part of an array.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Shard {
    /// Its type. It may go beyond the array's end, where it is zero.
    ty: TensorType,
    /// Dimensions of the array.
    whole: Vec<usize>,
}

impl<'p> RandomArrays<'p> {
    /// A maker of arrays whose programs come from `cache` where it has them.
    ///
    /// # Errors
    /// If the platform has no target table.
    pub(crate) fn new(placement: &'p Placement, cache: &'p ExecutableCache) -> Result<Self, EngineError> {
        let platform = placement.client().platform_name();
        let target =
            Target::of_platform(platform).ok_or_else(|| EngineError::Platform(platform.to_string()))?;
        Ok(Self { placement, target: target.clone(), cache, programs: HashMap::new() })
    }

    /// An array of type `ty`, split as `sharding` says: a buffer on each addressable device, in their order. Its elements
    /// follow `normal`, and the same for the same `key`, however the array is split.
    ///
    /// # Errors
    /// If the program does not compile or run, as where a device has no room.
    pub(crate) fn make(
        &mut self,
        ty: &TensorType,
        sharding: &Sharding,
        Normal { mean, std }: Normal,
        key: u64,
    ) -> Result<Vec<Buffer>, Failure> {
        let (key, normal) = ([key as u32, (key >> 32) as u32], [mean as f32, std as f32]);
        let key = self.upload(sharding, ElementType::U32, |_| key)?;
        let normal = self.upload(sharding, ElementType::F32, |_| normal)?;
        let start =
            |part: &Part<'_>| part.ranges.iter().map(|range| range.start as u32).collect::<Vec<u32>>();
        let start = self.upload(sharding, ElementType::U32, start)?;
        let shard = Shard { ty: TensorType::new(ty.dtype, sharding.shard_shape()), whole: ty.dims.clone() };
        let mut arguments: Vec<_> = self.placement.addressable_devices().map(|_| Vec::new()).collect();
        let program = self.program(&shard)?;
        [&key, &normal, &start].into_iter().for_each(|buffer| buffer.lend(&mut arguments));
        let results = program.execute(arguments).and_then(Execution::wait)?;
        Ok(results.into_iter().flatten().collect())
    }

    /// As [`make`](Self::make), with all of the array on each device.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub(crate) fn make_whole(
        &mut self,
        ty: &TensorType,
        normal: Normal,
        key: u64,
    ) -> Result<Vec<Buffer>, Failure> {
        let mesh = self.placement.mesh();
        let sharding = ShardingRules::none().bind(None, ty, mesh, &AxisUnits::default());
        self.make(ty, &sharding, normal, key)
    }

    /// A small vector on each device, which depends on the part that the device has.
    fn upload<V: AsRef<[T]>, T: bytemuck::NoUninit>(
        &self,
        sharding: &Sharding,
        element_type: ElementType,
        of_part: impl Fn(&Part<'_>) -> V,
    ) -> lapidary_runtime::Result<ShardedBuffer> {
        ShardedBuffer::place(self.placement, sharding, |part| {
            let vector = of_part(part);
            let (bytes, dims) = (bytemuck::cast_slice(vector.as_ref()), [vector.as_ref().len()]);
            let upload = |holder: &Holder<'_>| {
                self.placement.client().buffer_from_host(bytes, element_type, &dims, holder.device)
            };
            part.holders.iter().map(upload).collect()
        })
    }

    fn program(&mut self, shard: &Shard) -> Result<&LoadedExecutable, Failure> {
        match self.programs.entry(shard.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(missing) => {
                let module = module(shard)?;
                let rules = ShardingRules::none();
                let lowering = LowerOptions { target: &self.target, mesh: None, rules: &rules };
                let text = lower(verify_program(&module)?, &lowering)?;
                // Replicas: each device has all that it needs, and none waits for another.
                let replicas = self.placement.devices().iter().map(|device| vec![device.id()]).collect();
                let options = compile_options(self.placement, &self.target).device_assignment(replicas);
                let name = format!("{}, {}", module.name, self.placement);
                let client = self.placement.client();
                let (executable, _) = self.cache.load_or_compile(client, &text, &options, &name)?;
                Ok(missing.insert(executable))
            }
        }
    }
}

/// A program of a key (`[2]` u32), a distribution (`[2]` f32, mean and standard deviation) and where the part starts (one
/// u32 a dimension). Each element depends on the key, the distribution and its place in the whole array alone.
fn module(Shard { ty, whole }: &Shard) -> Result<Module, BuildError> {
    let joined = |dims: &[usize]| dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
    let mut module = Module::new(format!("random_{}_of_{}_{}", joined(&ty.dims), joined(whole), ty.dtype));
    let mut b = FunctionBuilder::new(&mut module, "main");
    let key = b.param("key", TensorType::new(DType::U32, [2]));
    let normal = b.param("normal", TensorType::new(DType::F32, [2]));
    let start = b.param("start", TensorType::new(DType::U32, [ty.rank()]));
    let at = Place { start, whole };
    let random = Random { key, normal, place: at.row_major(&mut b, ty)? };
    let array = random.elements(&mut b, ty)?;
    let array = at.zero_beyond(&mut b, array)?;
    b.finish(&[array]);
    Ok(module)
}

/// Where a part lies in a whole array.
struct Place<'a> {
    start: ValueId,
    whole: &'a [usize],
}

impl Place<'_> {
    /// The index of each element of a part of type `ty` in dimension `dim` of the whole, u32.
    fn index(&self, b: &mut FunctionBuilder<'_>, ty: &TensorType, dim: usize) -> Result<ValueId, BuildError> {
        let words = ty.with_dtype(DType::U32);
        let start = element(b, self.start, dim, &words)?;
        let along = b.iota(words, dim)?;
        b.add(start, along)
    }

    /// The place of each element in the whole in row-major order, modulo 2^32.
    fn row_major(&self, b: &mut FunctionBuilder<'_>, ty: &TensorType) -> Result<ValueId, BuildError> {
        let words = ty.with_dtype(DType::U32);
        let mut place = b.splat(0.0, &words)?;
        for (dim, &size) in self.whole.iter().enumerate() {
            let size = b.splat(size as f64, &words)?;
            let row = b.mul(place, size)?;
            let index = self.index(b, ty, dim)?;
            place = b.add(row, index)?;
        }
        Ok(place)
    }

    /// `part` with zeros where it goes beyond the end of the whole, as parts that are padded do.
    fn zero_beyond(&self, b: &mut FunctionBuilder<'_>, part: ValueId) -> Result<ValueId, BuildError> {
        let ty = b.ty(part)?;
        let zero = b.splat(0.0, &ty)?;
        let mut part = part;
        for (dim, (&size, &held)) in self.whole.iter().zip(&ty.dims).enumerate() {
            if size.is_multiple_of(held.max(1)) {
                continue;
            }
            let index = self.index(b, &ty, dim)?;
            let end = b.splat(size as f64, &ty.with_dtype(DType::U32))?;
            let within = b.compare(Comparison::Lt, index, end)?;
            part = b.select(within, part, zero)?;
        }
        Ok(part)
    }
}

/// What random numbers are made of.
struct Random {
    key: ValueId,
    normal: ValueId,
    /// The place of each element, u32.
    place: ValueId,
}

impl Random {
    /// Elements of type `ty`: numbers where they are floats; where they are integers of 8 or 4 bits, the nearest code to
    /// each number, and in bytes without sign two codes of 4 bits, as encoded weights have them.
    fn elements(&self, b: &mut FunctionBuilder<'_>, ty: &TensorType) -> Result<ValueId, BuildError> {
        if ty.dtype == DType::U8 {
            return self.pairs_of_codes(b, ty);
        }
        let number = self.number(b, 0)?;
        let element = match ty.dtype.bits() {
            bits @ (4 | 8) if !ty.dtype.is_float() => code(b, number, f64::from(1u32 << (bits - 1)))?,
            _ => number,
        };
        b.convert(element, ty.dtype)
    }

    /// Two codes of 4 bits in each byte, the first in its lower half, each plus 8.
    fn pairs_of_codes(&self, b: &mut FunctionBuilder<'_>, ty: &TensorType) -> Result<ValueId, BuildError> {
        let mut half = |stream: u32| {
            let number = self.number(b, stream)?;
            let code = code(b, number, 8.0)?;
            let eight = b.splat(8.0, &b.ty(code)?)?;
            let code = b.add(code, eight)?;
            b.convert(code, ty.dtype)
        };
        let (low, high) = (half(0)?, half(1)?);
        let four = b.splat(4.0, ty)?;
        let high = b.binary(BinaryKind::ShiftLeft, high, four)?;
        b.or(low, high)
    }

    /// A number of the distribution for each element, f32; other ones for each `stream`.
    fn number(&self, b: &mut FunctionBuilder<'_>, stream: u32) -> Result<ValueId, BuildError> {
        let words = b.ty(self.place)?;
        let key = [element(b, self.key, 0, &words)?, element(b, self.key, 1, &words)?];
        let stream = b.splat(f64::from(stream), &words)?;
        let words = nn::threefry_2x32(b, key, [self.place, stream])?;
        let deviations = standard_normal(b, words)?;
        let floats = b.ty(deviations)?;
        let (mean, std) = (element(b, self.normal, 0, &floats)?, element(b, self.normal, 1, &floats)?);
        let scaled = b.mul(deviations, std)?;
        b.add(scaled, mean)
    }
}

/// The nearest of the whole numbers from `-limit` to `limit - 1`.
fn code(b: &mut FunctionBuilder<'_>, number: ValueId, limit: f64) -> Result<ValueId, BuildError> {
    let nearest = b.unary(UnaryKind::RoundNearestEven, number)?;
    let floats = b.ty(nearest)?;
    let (least, most) = (b.splat(-limit, &floats)?, b.splat(limit - 1.0, &floats)?);
    b.clamp(least, nearest, most)
}

/// The element at `index` of a vector, as every element of an array of the dimensions of `ty`.
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
