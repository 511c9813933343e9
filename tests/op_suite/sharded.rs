//! A program split over a mesh of virtual devices computes what the interpreter does, with inputs and
//! outputs cut as [`entry_shardings`] says. Whole numbers make every sum exact, and padding holds garbage, so
//! that a sum which includes it is wrong.

use std::ops::Range;

use lapidary::graph::element::Scalar;
use lapidary::graph::interp::{self, Tensor};
use lapidary::graph::op::{BinaryKind, DotDims, Precision};
use lapidary::graph::{
    BuildError, DType, FunctionBuilder, FunctionResult, Literal, LogicalAxes, Module, TensorType,
    verify_program,
};
use lapidary::lower::{
    EntryShardings, LowerOptions, Mesh, Sharding, ShardingRules, Target, entry_shardings, lower, target,
};
use lapidary::runtime::{Argument, Buffer, Client, CompileOptions, Program};

use crate::inputs::{Random, Values, largest};
use crate::plugin;

/// Even; in groups (2 `kv_heads` over 4); padded `ffn` and `batch`; everything at once.
const MESHES: [&str; 7] =
    ["data=2,model=4", "model=8", "model=3", "model=6", "data=3", "data=3,model=2", "data=2,model=3"];

/// A feed-forward block with a residual connection, and a cache that is updated in place.
///
/// `spare` is donated to a result that is split in another way, so that only its memory can be reused.
fn block() -> Result<Module, BuildError> {
    let f32 = |dims: &[usize]| TensorType::new(DType::F32, dims);
    let mut module = Module::new("block");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let axes = |names: &[&str]| Some(LogicalAxes::of(names));
    let x = b.labelled_param("x", f32(&[4, 8]), axes(&["batch", "_"]));
    let up = b.labelled_param("up", f32(&[16, 8]), axes(&["ffn", "_"]));
    let down = b.labelled_param("down", f32(&[8, 16]), axes(&["_", "ffn"]));
    let cache = b.labelled_param("cache", f32(&[4, 2, 3]), axes(&["batch", "kv_heads", "_"]));
    let spare = b.param("spare", f32(&[4, 16]));
    b.donate(3, 1);
    b.donate(4, 2);

    let dot = |b: &mut FunctionBuilder<'_>, lhs, rhs| {
        let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![1], ..DotDims::default() };
        b.dot_general(lhs, rhs, dims, Precision::Highest, DType::F32)
    };
    let hidden = dot(&mut b, x, up)?;
    let hidden = b.sharding_constraint(hidden, LogicalAxes::of(&["batch", "ffn"]))?;
    let zero = b.splat(0.0, &f32(&[4, 16]))?;
    let hidden = b.max(hidden, zero)?;
    let branch = dot(&mut b, hidden, down)?;
    let sum = b.add(x, branch)?;
    let zero = b.constant(Literal::float(DType::F32, 0.0))?;
    let body = b.combiner(BinaryKind::Add, DType::F32)?;
    let total = b.reduce(sum, zero, &[0, 1], body)?;
    let updated = b.add(cache, cache)?;
    let spare = b.add(spare, hidden)?;
    let result = |value, axes| FunctionResult { value, name: String::new(), axes };
    b.finish_with(vec![
        result(sum, axes(&["batch", "_"])),
        result(updated, None),
        result(spare, axes(&["batch", "ffn"])),
        result(total, None),
    ]);
    Ok(module)
}

#[test]
fn a_program_over_a_mesh_computes_the_same() {
    let Some(client) = plugin::cpu_client() else { return };
    let module = block().unwrap();
    let entry = module.entry().unwrap();
    let function = module.function(entry).unwrap();
    let mut random = Random::new(11);
    let inputs: Vec<Tensor> =
        function.ty().params.iter().map(|ty| random.tensor(ty.dtype, &ty.dims, Values::SmallWhole)).collect();
    let expected = interp::evaluate(&module, entry, &inputs).unwrap();

    let rules = ShardingRules::transformer();
    for mesh in MESHES {
        let mesh: Mesh = mesh.parse().unwrap();
        let shardings = entry_shardings(function, &mesh, &rules);
        assert_eq!(
            shardings.results[1].dims(),
            shardings.params[3].dims(),
            "the new cache is split as the old"
        );
        for target in Target::ALL {
            let options = LowerOptions { target, mesh: Some(&mesh), rules: &rules };
            let text = lower(verify_program(&module).unwrap(), &options).unwrap();
            check(&client, &text, &shardings, &inputs, &expected);
        }
    }
    let unsplit = LowerOptions { target: &target::CPU, mesh: None, rules: &rules };
    assert!(!lower(verify_program(&module).unwrap(), &unsplit).unwrap().contains("sdy."));
}

/// Runs a program on the devices of a mesh, and compares what each holds with its part of what is expected.
pub(crate) fn check(
    client: &Client,
    text: &str,
    shardings: &EntryShardings,
    inputs: &[Tensor],
    expected: &[Tensor],
) {
    let devices = shardings.params[0].mesh().num_devices();
    let assignment = client.devices().iter().take(devices).map(|device| device.id()).collect();
    let options = CompileOptions::new().device_assignment(vec![assignment]);
    let executable = client.compile(&Program::stablehlo(text), &options).unwrap();

    let arguments: Vec<Vec<Argument<'_>>> = (0..devices)
        .map(|number| {
            let device = &executable.addressable_devices()[number];
            let upload = |(tensor, sharding): (&Tensor, &Sharding)| {
                let shard = cut(tensor, &sharding.shard_ranges(number).unwrap());
                let shard = pad(&shard, sharding.shard_shape());
                Argument::Donated(plugin::upload(client, &shard, device).unwrap())
            };
            inputs.iter().zip(&shardings.params).map(upload).collect()
        })
        .collect();
    let outputs: Vec<Vec<Buffer>> = executable.execute(arguments).unwrap().wait().unwrap();
    for (number, outputs) in outputs.iter().enumerate() {
        for ((output, expected), sharding) in outputs.iter().zip(expected).zip(&shardings.results) {
            let ranges = sharding.shard_ranges(number).unwrap();
            let output = plugin::download(output).unwrap();
            assert_eq!(output.dims(), sharding.shard_shape());
            let held: Vec<Range<usize>> = ranges.iter().map(|range| 0..range.len()).collect();
            let mesh = sharding.mesh();
            assert_eq!(cut(&output, &held), cut(expected, &ranges), "on device {number} of {mesh}");
        }
    }
}

/// A tensor at the start of one of these dimensions, the rest of which is garbage.
fn pad(tensor: &Tensor, dims: Vec<usize>) -> Tensor {
    let ty = TensorType::new(tensor.dtype(), dims);
    let garbage = if ty.dtype.is_float() { Scalar::Float(largest(ty.dtype)) } else { Scalar::Int(77) };
    let mut elements = vec![garbage; ty.num_elements()];
    for (flat, element) in tensor.scalars().enumerate() {
        let (mut rest, mut at, mut stride) = (flat, 0, 1);
        for (&size, &padded) in tensor.dims().iter().zip(&ty.dims).rev() {
            at += rest % size * stride;
            rest /= size;
            stride *= padded;
        }
        elements[at] = element;
    }
    Tensor::from_scalars(ty, elements).unwrap()
}

/// The part of a tensor within these ranges.
fn cut(tensor: &Tensor, ranges: &[Range<usize>]) -> Tensor {
    let dims: Vec<usize> = ranges.iter().map(|range| range.len()).collect();
    let inside = |mut flat: usize| {
        tensor.dims().iter().zip(ranges).rev().all(|(&size, range)| {
            let index = flat % size;
            flat /= size;
            range.contains(&index)
        })
    };
    let elements: Vec<Scalar> =
        tensor.scalars().enumerate().filter(|&(flat, _)| inside(flat)).map(|(_, element)| element).collect();
    Tensor::from_scalars(TensorType::new(tensor.dtype(), dims), elements).unwrap()
}
