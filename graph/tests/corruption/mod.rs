//! Ways to break a module.

use lapidary_graph::{
    DType, FuncId, Function, LogicalAxes, Module, Op, OpId, Operation, ScopeId, ValueDef, ValueId,
};

macro_rules! corruptions {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What to break.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Corruption { $($(#[$doc])* $name,)* }

        impl Corruption {
            pub(crate) const ALL: &'static [Corruption] = &[$(Corruption::$name,)*];
        }
    };
}

corruptions! {
    ParamValue,
    /// Two parameters change places, definitions included.
    SwapParams,
    Operand,
    DropOperand,
    RepeatOperand,
    ResultValue,
    DropResult,
    ReturnedValue,
    Definition,
    ElementType,
    Dimension,
    Rank,
    DropValue,
    Number,
    Padding,
    ListEntry,
    ShortList,
    LongList,
    Callee,
    OtherOp,
    DropOp,
    SwapOps,
    RepeatOp,
    Scope,
    FunctionName,
    SwapFunctions,
    Donation,
    ParamAxes,
    ResultAxes,
}

/// Breaks `module` in one way, at a place and with a value that `at` picks. Does nothing where there is no
/// such place.
pub(crate) fn corrupt(module: &mut Module, kind: Corruption, at: [u64; 3]) {
    // `None` only means that there is nothing of this kind to break.
    let _ = try_corrupt(module, kind, at);
}

fn try_corrupt(module: &mut Module, kind: Corruption, [place, item, value]: [u64; 3]) -> Option<()> {
    let functions = module.functions.len();
    match kind {
        Corruption::FunctionName => {
            let name = pick(&mut module.functions, item)?.name.clone();
            let names = [name, String::new(), "a b".to_string(), "7".to_string(), "main".to_string()];
            pick(&mut module.functions, place)?.name = names.into_iter().nth(value as usize % 5)?;
        }
        Corruption::SwapFunctions => {
            module.functions.swap(index(functions, place)?, index(functions, item)?);
        }
        Corruption::OtherOp => {
            let donors = module.functions.iter().flat_map(|f| f.ops.iter()).map(|o| o.op.clone());
            let mut donors: Vec<Op> = donors.collect();
            let donor = pick(&mut donors, value)?.clone();
            operation(module, place, item)?.op = donor;
        }
        Corruption::Number => {
            **pick(&mut parts(&mut operation(module, place, item)?.op).numbers, value)? = number(value)
        }
        Corruption::Padding => {
            let mut paddings = parts(&mut operation(module, place, item)?.op).paddings;
            *pick(pick(&mut paddings, value)?, value >> 4)? = (value >> 8) as i64 - (1 << 55);
        }
        Corruption::ListEntry => {
            let mut lists = parts(&mut operation(module, place, item)?.op).lists;
            *pick(pick(&mut lists, value)?, value >> 4)? = number(value >> 8);
        }
        Corruption::ShortList => {
            pick(&mut parts(&mut operation(module, place, item)?.op).lists, value)?.pop()?;
        }
        Corruption::LongList => {
            pick(&mut parts(&mut operation(module, place, item)?.op).lists, value)?.push(number(value));
        }
        Corruption::Callee => {
            let mut callees = parts(&mut operation(module, place, item)?.op).callees;
            **pick(&mut callees, value)? = FuncId::new(number(value));
        }
        Corruption::Operand => {
            *pick(&mut operation(module, place, item)?.operands, value)? = ValueId::new(number(value >> 8));
        }
        Corruption::DropOperand => {
            operation(module, place, item)?.operands.pop()?;
        }
        Corruption::RepeatOperand => {
            let operands = &mut operation(module, place, item)?.operands;
            operands.push(*pick(&mut operands.clone(), value)?);
        }
        Corruption::ResultValue => {
            *pick(&mut operation(module, place, item)?.results, value)? = ValueId::new(number(value >> 8));
        }
        Corruption::DropResult => {
            operation(module, place, item)?.results.pop()?;
        }
        Corruption::Scope => operation(module, place, item)?.scope = ScopeId::new(number(value)),
        Corruption::ParamValue => {
            pick(&mut function(module, place)?.params, item)?.value = ValueId::new(number(value));
        }
        Corruption::SwapParams => {
            let function = function(module, place)?;
            let first = pick(&mut function.params, item)?.value;
            let second = std::mem::replace(&mut pick(&mut function.params, value)?.value, first);
            pick(&mut function.params, item)?.value = second;
            for (i, param) in function.params.iter().enumerate() {
                function.values.get_mut(param.value.index())?.def = ValueDef::Param(i);
            }
        }
        Corruption::ReturnedValue => {
            pick(&mut function(module, place)?.results, item)?.value = ValueId::new(number(value));
        }
        Corruption::Definition => {
            let (op, index) = (OpId::new(number(value)), number(item));
            let definition =
                if value % 2 == 0 { ValueDef::Param(index) } else { ValueDef::Result { op, index } };
            pick(&mut function(module, place)?.values, item)?.def = definition;
        }
        Corruption::ElementType => {
            pick(&mut function(module, place)?.values, item)?.ty.dtype =
                *pick(&mut DType::ALL.clone(), value)?;
        }
        Corruption::Dimension => {
            let ty = &mut pick(&mut function(module, place)?.values, item)?.ty;
            *pick(&mut ty.dims, value)? = number(value >> 8);
        }
        Corruption::Rank => {
            pick(&mut function(module, place)?.values, item)?.ty.dims.push(number(value));
        }
        Corruption::DropValue => {
            function(module, place)?.values.pop()?;
        }
        Corruption::DropOp => {
            let ops = &mut function(module, place)?.ops;
            ops.remove(index(ops.len(), item)?);
        }
        Corruption::SwapOps => {
            let ops = &mut function(module, place)?.ops;
            let (first, second) = (index(ops.len(), item)?, index(ops.len(), value)?);
            ops.swap(first, second);
        }
        Corruption::RepeatOp => {
            let ops = &mut function(module, place)?.ops;
            let operation = pick(ops, item)?.clone();
            ops.push(operation);
        }
        Corruption::Donation => {
            pick(&mut function(module, place)?.params, item)?.donated_to = Some(number(value));
        }
        Corruption::ParamAxes => {
            pick(&mut function(module, place)?.params, item)?.axes = Some(axes(value));
        }
        Corruption::ResultAxes => {
            pick(&mut function(module, place)?.results, item)?.axes = Some(axes(value));
        }
    }
    Some(())
}

fn axes(value: u64) -> LogicalAxes {
    LogicalAxes(vec![None; number(value) % 5])
}

/// Small numbers, which often exist, and absurd ones.
fn number(value: u64) -> usize {
    match value % 16 {
        small @ 0..12 => small as usize,
        12 => 1 << 20,
        13 => u32::MAX as usize,
        14 => usize::MAX / 2,
        _ => usize::MAX,
    }
}

fn index(len: usize, at: u64) -> Option<usize> {
    (len > 0).then(|| (at % len as u64) as usize)
}

fn pick<T>(items: &mut [T], at: u64) -> Option<&mut T> {
    let index = index(items.len(), at)?;
    items.get_mut(index)
}

fn function(module: &mut Module, at: u64) -> Option<&mut Function> {
    pick(&mut module.functions, at)
}

fn operation(module: &mut Module, place: u64, item: u64) -> Option<&mut Operation> {
    pick(&mut function(module, place)?.ops, item)
}

/// What an op's attributes are made of.
#[derive(Default)]
struct Parts<'a> {
    numbers: Vec<&'a mut usize>,
    paddings: Vec<&'a mut Vec<i64>>,
    lists: Vec<&'a mut Vec<usize>>,
    callees: Vec<&'a mut FuncId>,
}

fn parts(op: &mut Op) -> Parts<'_> {
    let mut parts = Parts::default();
    match op {
        Op::Iota { result, dim } => {
            parts.numbers.push(dim);
            parts.lists.push(&mut result.dims);
        }
        Op::BroadcastInDim { dims, broadcast_dims } => parts.lists.extend([dims, broadcast_dims]),
        Op::Reshape { dims } | Op::Reverse { dims } => parts.lists.push(dims),
        Op::Transpose { permutation } => parts.lists.push(permutation),
        Op::Concatenate { dim } => parts.numbers.push(dim),
        Op::Slice { start, limit, stride } => parts.lists.extend([start, limit, stride]),
        Op::DynamicSlice { sizes } => parts.lists.push(sizes),
        Op::Pad { low, high, interior } => {
            parts.paddings.extend([low, high]);
            parts.lists.push(interior);
        }
        Op::Gather { dims, slice_sizes, indices_are_sorted: _ } => {
            parts.numbers.push(&mut dims.index_vector_dim);
            parts.lists.extend([
                &mut dims.offset_dims,
                &mut dims.collapsed_slice_dims,
                &mut dims.operand_batching_dims,
                &mut dims.start_indices_batching_dims,
                &mut dims.start_index_map,
                slice_sizes,
            ]);
        }
        Op::Scatter { dims, indices_are_sorted: _, unique_indices: _, body } => {
            parts.numbers.push(&mut dims.index_vector_dim);
            parts.callees.push(body);
            parts.lists.extend([
                &mut dims.update_window_dims,
                &mut dims.inserted_window_dims,
                &mut dims.input_batching_dims,
                &mut dims.scatter_indices_batching_dims,
                &mut dims.scatter_dims_to_operand_dims,
            ]);
        }
        Op::DotGeneral { dims, precision: _, result: _ } => parts.lists.extend([
            &mut dims.lhs_batch,
            &mut dims.rhs_batch,
            &mut dims.lhs_contract,
            &mut dims.rhs_contract,
        ]),
        Op::Reduce { dims, body } => {
            parts.lists.push(dims);
            parts.callees.push(body);
        }
        Op::Sort { dim, stable: _, comparator } => {
            parts.numbers.push(dim);
            parts.callees.push(comparator);
        }
        Op::While { cond, body } => parts.callees.extend([cond, body]),
        Op::If { then_branch, else_branch } => parts.callees.extend([then_branch, else_branch]),
        Op::Case { branches } => parts.callees.extend(branches),
        Op::Call { callee } => parts.callees.push(callee),
        Op::RngBitGenerator { algorithm: _, result } => parts.lists.push(&mut result.dims),
        Op::CustomCall { target: _, results, attributes: _, has_side_effect: _ } => {
            parts.lists.extend(results.iter_mut().map(|ty| &mut ty.dims));
        }
        Op::Composite { name: _, attributes: _, decomposition } => parts.callees.push(decomposition),
        Op::Constant { .. }
        | Op::Unary { .. }
        | Op::Binary { .. }
        | Op::Compare { .. }
        | Op::Select
        | Op::Clamp
        | Op::Convert { .. }
        | Op::BitcastConvert { .. }
        | Op::DynamicUpdateSlice
        | Op::OptimizationBarrier
        | Op::ShardingConstraint { .. } => {}
    }
    parts
}
