//! Products of weights in few bits over a mesh: codes, scales and offsets are cut together, along outputs and along
//! inputs, and compute what one device does. Whole numbers make every sum exact, and padding holds garbage.

use lapidary::graph::interp::{self, Tensor};
use lapidary::graph::nn::{self, EncodedWeight};
use lapidary::graph::{
    BuildError, DType, FunctionBuilder, FunctionResult, LogicalAxes, Module, TensorType, ValueId,
    verify_program,
};
use lapidary::lower::{LowerOptions, Mesh, ShardingRules, Target, entry_shardings, lower};

use crate::inputs::{Random, Values};
use crate::plugin;
use crate::sharded::check;

/// Even; more parts than groups; padded, between the elements of a byte as well.
const MESHES: [&str; 6] = ["model=2", "model=4", "data=2,model=4", "model=8", "model=3", "model=7"];
const HIDDEN: usize = 8;
const FFN: usize = 48;
const GROUP: usize = 4;

/// How codes are stored.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    EightBits,
    FourBits,
    EightBitsByGroups,
}

/// A matrix `[outputs, inputs]` in groups of [`GROUP`], one of whose dimensions is `ffn`.
fn weight(
    b: &mut FunctionBuilder<'_>,
    stored: Stored,
    [outputs, inputs]: [usize; 2],
    axes: [&str; 2],
) -> EncodedWeight {
    let block = |block| if axes[1] == "_" { "_".to_string() } else { LogicalAxes::blocks(axes[1], block) };
    let (pairs, groups) = (block(2), block(GROUP));
    let mut part = |dtype, dims: &[usize], axes: &[&str]| {
        b.labelled_param("", TensorType::new(dtype, dims), Some(LogicalAxes::of(axes)))
    };
    let codes = match stored {
        Stored::EightBits => part(DType::S8, &[outputs, inputs], &axes),
        Stored::FourBits => part(DType::U8, &[outputs, inputs / 2], &[axes[0], &pairs]),
        Stored::EightBitsByGroups => {
            part(DType::S8, &[inputs / GROUP, outputs, GROUP], &[&groups, axes[0], "_"])
        }
    };
    let (dims, axes) = match stored {
        Stored::EightBitsByGroups => ([inputs / GROUP, outputs], [groups.as_str(), axes[0]]),
        Stored::EightBits | Stored::FourBits => ([outputs, inputs / GROUP], [axes[0], groups.as_str()]),
    };
    EncodedWeight {
        codes,
        scales: part(DType::BF16, &dims, &axes),
        offsets: Some(part(DType::F32, &dims, &axes)),
    }
}

/// A feed-forward block, its first product cut along outputs and its second along inputs.
fn block(stored: Stored) -> Result<Module, BuildError> {
    let mut module = Module::new("block");
    let mut b = FunctionBuilder::new(&mut module, "main");
    let axes = LogicalAxes::of(&["batch", "_"]);
    let x = b.labelled_param("x", TensorType::new(DType::F32, [4, HIDDEN]), Some(axes.clone()));
    let up = weight(&mut b, stored, [FFN, HIDDEN], ["ffn", "_"]);
    let down = weight(&mut b, stored, [HIDDEN, FFN], ["_", "ffn"]);
    let hidden: ValueId = nn::linear(&mut b, x, up, DType::F32)?;
    let hidden = b.sharding_constraint(hidden, LogicalAxes::of(&["batch", "ffn"]))?;
    let value = nn::linear(&mut b, hidden, down, DType::F32)?;
    b.finish_with(vec![FunctionResult { value, name: String::new(), axes: Some(axes) }]);
    Ok(module)
}

#[test]
fn an_encoded_block_over_a_mesh_computes_the_same() {
    let Some(client) = plugin::cpu_client() else { return };
    let rules = ShardingRules::transformer();
    for stored in [Stored::EightBits, Stored::FourBits, Stored::EightBitsByGroups] {
        let module = block(stored).unwrap();
        let entry = module.entry().unwrap();
        let function = module.function(entry).unwrap();
        let mut random = Random::new(13);
        let mut input = |ty: &TensorType| {
            let values = if ty.dtype == DType::U8 { Values::Any } else { Values::SmallWhole };
            random.tensor(ty.dtype, &ty.dims, values)
        };
        let inputs: Vec<Tensor> = function.ty().params.iter().map(&mut input).collect();
        let expected = interp::evaluate(&module, entry, &inputs).unwrap();
        for mesh in MESHES {
            let mesh: Mesh = mesh.parse().unwrap();
            let shardings = entry_shardings(function, &mesh, &rules);
            for target in Target::ALL {
                let options = LowerOptions { target, mesh: Some(&mesh), rules: &rules };
                let text = lower(verify_program(&module).unwrap(), &options).unwrap();
                check(&client, &text, &shardings, &inputs, &expected);
            }
        }
    }
}
