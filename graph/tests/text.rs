//! Properties of the text form: any module survives printing and parsing; no text makes the parser panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lapidary_graph::op::{
    BinaryKind, Comparison, DotDims, GatherDims, Precision, RngAlgorithm, ScatterDims, UnaryKind,
};
use lapidary_graph::{
    Attr, Attributes, DType, FuncId, Function, FunctionResult, Literal, LogicalAxes, Module, Op, OpId,
    Operation, Param, Scopes, TensorType, Value, ValueDef, ValueId, text,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::{filetests, read, structure};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_][a-z0-9_.]{0,8}",
        1 => select(vec!["", "_", "7", "a b", "func", "return", "true", "\"", "\\", "//", "\n"])
            .prop_map(str::to_string),
        1 => any::<String>(),
    ]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![9 => 0usize..20, 1 => any::<usize>()], 0..4)
}

fn dtype() -> impl Strategy<Value = DType> {
    select(DType::ALL.to_vec())
}

fn tensor_type() -> impl Strategy<Value = TensorType> {
    (dtype(), sizes()).prop_map(|(dtype, dims)| TensorType { dtype, dims })
}

fn axes() -> impl Strategy<Value = LogicalAxes> {
    vec(option::of(name()), 0..4).prop_map(LogicalAxes)
}

/// Literals of any bytes, also bytes that are no canonical element.
fn literal() -> impl Strategy<Value = Literal> {
    let dims = prop_oneof![4 => vec(0usize..4, 0..4), 1 => vec(1usize..2, 9..11)];
    (dtype(), dims, vec(any::<u8>(), 512), any::<bool>()).prop_map(|(dtype, dims, random, splat)| {
        let ty = TensorType { dtype, dims };
        let period = if splat { dtype.byte_width() } else { random.len() };
        let bytes: Vec<u8> = random.into_iter().take(period).cycle().take(ty.byte_size()).collect();
        Literal::from_bytes(ty, &bytes).unwrap()
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let attr = prop_oneof![
        any::<bool>().prop_map(Attr::Bool),
        any::<i64>().prop_map(Attr::Int),
        any::<f64>().prop_map(Attr::Float),
        any::<u64>().prop_map(|bits| Attr::Float(f64::from_bits(bits))),
        name().prop_map(Attr::Str),
        vec(any::<i64>(), 0..3).prop_map(Attr::Ints),
    ];
    vec((name(), attr), 0..4)
}

/// Functions of the module or beyond it.
fn function() -> impl Strategy<Value = FuncId> + Clone {
    (0usize..4).prop_map(FuncId::new)
}

fn elementwise_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        select(UnaryKind::ALL).prop_map(|kind| Op::Unary { kind }),
        select(BinaryKind::ALL).prop_map(|kind| Op::Binary { kind }),
        (select(Comparison::ALL), any::<bool>())
            .prop_map(|(direction, total_order)| Op::Compare { direction, total_order }),
        Just(Op::Select),
        Just(Op::Clamp),
        dtype().prop_map(|to| Op::Convert { to }),
        dtype().prop_map(|to| Op::BitcastConvert { to }),
        literal().prop_map(|value| Op::Constant { value }),
        (tensor_type(), any::<usize>()).prop_map(|(result, dim)| Op::Iota { result, dim }),
    ]
}

fn moving_op() -> impl Strategy<Value = Op> {
    let numbers = || vec(any::<i64>(), 0..3);
    prop_oneof![
        (sizes(), sizes()).prop_map(|(dims, broadcast_dims)| Op::BroadcastInDim { dims, broadcast_dims }),
        sizes().prop_map(|dims| Op::Reshape { dims }),
        sizes().prop_map(|permutation| Op::Transpose { permutation }),
        any::<usize>().prop_map(|dim| Op::Concatenate { dim }),
        (sizes(), sizes(), sizes()).prop_map(|(start, limit, stride)| Op::Slice { start, limit, stride }),
        sizes().prop_map(|sizes| Op::DynamicSlice { sizes }),
        Just(Op::DynamicUpdateSlice),
        (numbers(), numbers(), sizes()).prop_map(|(low, high, interior)| Op::Pad { low, high, interior }),
        sizes().prop_map(|dims| Op::Reverse { dims }),
        axes().prop_map(|axes| Op::ShardingConstraint { axes }),
    ]
}

fn dimension_number_op() -> impl Strategy<Value = Op> {
    let lists = || (sizes(), sizes(), sizes(), sizes(), sizes());
    prop_oneof![
        (lists(), select(Precision::ALL), dtype()).prop_map(|((a, b, c, d, _), precision, result)| {
            let dims = DotDims { lhs_batch: a, rhs_batch: b, lhs_contract: c, rhs_contract: d };
            Op::DotGeneral { dims, precision, result }
        }),
        (lists(), any::<usize>(), sizes(), any::<bool>()).prop_map(
            |((a, b, c, d, e), index_vector_dim, slice_sizes, indices_are_sorted)| {
                let dims = GatherDims {
                    offset_dims: a,
                    collapsed_slice_dims: b,
                    operand_batching_dims: c,
                    start_indices_batching_dims: d,
                    start_index_map: e,
                    index_vector_dim,
                };
                Op::Gather { dims, slice_sizes, indices_are_sorted }
            }
        ),
        (lists(), any::<usize>(), any::<bool>(), any::<bool>(), function()).prop_map(
            |((a, b, c, d, e), index_vector_dim, indices_are_sorted, unique_indices, body)| {
                let dims = ScatterDims {
                    update_window_dims: a,
                    inserted_window_dims: b,
                    input_batching_dims: c,
                    scatter_indices_batching_dims: d,
                    scatter_dims_to_operand_dims: e,
                    index_vector_dim,
                };
                Op::Scatter { dims, indices_are_sorted, unique_indices, body }
            }
        ),
    ]
}

fn control_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (sizes(), function()).prop_map(|(dims, body)| Op::Reduce { dims, body }),
        (any::<usize>(), any::<bool>(), function()).prop_map(|(dim, stable, comparator)| Op::Sort {
            dim,
            stable,
            comparator
        }),
        (function(), function()).prop_map(|(cond, body)| Op::While { cond, body }),
        (function(), function()).prop_map(|(then_branch, else_branch)| Op::If { then_branch, else_branch }),
        vec(function(), 0..3).prop_map(|branches| Op::Case { branches }),
        function().prop_map(|callee| Op::Call { callee }),
        (select(RngAlgorithm::ALL), tensor_type())
            .prop_map(|(algorithm, result)| Op::RngBitGenerator { algorithm, result }),
        (name(), vec(tensor_type(), 0..3), attributes(), any::<bool>()).prop_map(
            |(target, results, attributes, has_side_effect)| Op::CustomCall {
                target,
                results,
                attributes,
                has_side_effect
            }
        ),
        Just(Op::OptimizationBarrier),
        (name(), attributes(), function()).prop_map(|(name, attributes, decomposition)| Op::Composite {
            name,
            attributes,
            decomposition
        }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![elementwise_op(), moving_op(), dimension_number_op(), control_op()]
}

/// What an operation is made from: op, operands (picked later), result types, model path.
type Draft = (Op, Vec<Index>, Vec<TensorType>, String);
type Label = (String, Option<LogicalAxes>);

/// Modules that need not make sense; uses may come before definitions and refer to what does not exist.
fn module() -> impl Strategy<Value = Module> {
    let label = || (name(), option::of(axes()));
    let param = (tensor_type(), label(), option::of(any::<usize>()));
    let draft = (op(), vec(any::<Index>(), 0..4), vec(tensor_type(), 0..3), name());
    let function = (name(), vec(param, 0..3), vec(draft, 0..6), vec((any::<Index>(), label()), 0..3));
    (name(), vec(function, 0..4)).prop_map(|(name, functions)| {
        let mut module = Module::new(name);
        for (name, params, drafts, results) in functions {
            let function = assemble(&mut module.scopes, name, params, drafts, results);
            module.functions.push(function);
        }
        module
    })
}

fn assemble(
    scopes: &mut Scopes,
    name: String,
    params: Vec<(TensorType, Label, Option<usize>)>,
    drafts: Vec<Draft>,
    results: Vec<(Index, Label)>,
) -> Function {
    let mut function = Function { name, ..Function::default() };
    for (index, (ty, (name, axes), donated_to)) in params.into_iter().enumerate() {
        let value = ValueId::new(function.values.len());
        function.values.push(Value { ty, def: ValueDef::Param(index) });
        function.params.push(Param { value, name, axes, donated_to });
    }
    // One value more than there will be, so that some uses refer to nothing.
    let count = 1 + function.values.len() + drafts.iter().map(|draft| draft.2.len()).sum::<usize>();
    for (at, (op, operands, types, path)) in drafts.into_iter().enumerate() {
        let mut results = Vec::new();
        for (index, ty) in types.into_iter().enumerate() {
            results.push(ValueId::new(function.values.len()));
            function.values.push(Value { ty, def: ValueDef::Result { op: OpId::new(at), index } });
        }
        let operands = operands.iter().map(|index| ValueId::new(index.index(count))).collect();
        function.ops.push(Operation { op, operands, results, scope: scopes.intern(&path) });
    }
    for (index, (name, axes)) in results {
        let value = ValueId::new(index.index(count));
        function.results.push(FunctionResult { value, name, axes });
    }
    function
}

/// What must hold of any text: it is refused, or the module it stands for survives printing.
fn parse_is_safe(source: &str) {
    match text::parse_with_lines(source) {
        Ok((module, _)) => {
            let printed = module.to_string();
            let again = text::parse(&printed).unwrap_or_else(|e| panic!("{e}\nof:\n{printed}"));
            assert_eq!(again.to_string(), printed);
        }
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1);
            assert!(!error.to_string().is_empty());
        }
    }
}

/// An edit at a place of a text: characters taken away, and something put there.
fn edit(source: &str, at: Index, taken: usize, put: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let start = at.index(chars.len() + 1);
    let end = (start + taken).min(chars.len());
    chars[..start].iter().collect::<String>() + put + &chars[end..].iter().collect::<String>()
}

/// Pieces that mean something to the parser.
fn token() -> impl Strategy<Value = String> {
    let tokens = vec![
        "module",
        "func",
        "return",
        "@",
        "@f",
        "@#0",
        "@#99999999999999999999",
        "%",
        "%v0",
        "%#7",
        ":",
        "=",
        "->",
        "(",
        ")",
        "[",
        "[[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "\\",
        "//",
        "\n",
        "f32",
        "pred",
        "f32[]",
        "f32[2,2]",
        "s4[18446744073709551615]",
        "18446744073709551616",
        "-1",
        "0x7fc00001",
        "0x",
        "1e999",
        "-inf",
        "nan",
        "true",
        "axes",
        "donated_to",
        "_",
        "constant",
        "value",
        "add",
        "call",
        "callee",
        "composite",
        "dims",
        "é",
        "\u{0}",
        "🦀",
    ];
    select(tokens).prop_map(str::to_string)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_module_survives_printing_and_parsing(module in module()) {
        let printed = module.to_string();
        let parsed = text::parse(&printed).unwrap_or_else(|e| panic!("{e}\nof:\n{printed}"));
        prop_assert_eq!(structure(&parsed), structure(&module));
        prop_assert_eq!(parsed.to_string(), printed);
    }

    #[test]
    fn any_string_is_safe(source in any::<String>()) {
        parse_is_safe(&source);
    }

    #[test]
    fn any_tokens_are_safe(tokens in vec(token(), 0..60)) {
        parse_is_safe(&tokens.join(" "));
        parse_is_safe(&tokens.concat());
        parse_is_safe(&format!("module @m func @main() -> () {{ {} return }}", tokens.join(" ")));
    }

    #[test]
    fn any_mutation_of_a_module_is_safe(
        file in any::<Index>(),
        edits in vec((any::<Index>(), 0usize..12, prop_oneof![token(), any::<String>()]), 1..4),
    ) {
        let files = filetests("text");
        let mut source = read(&files[file.index(files.len())]);
        for (at, taken, put) in edits {
            source = edit(&source, at, taken, &put);
        }
        parse_is_safe(&source);
    }
}

/// Arrays of brackets and the like must not exhaust the stack.
#[test]
fn deep_nesting_is_safe() {
    for piece in ["[", "{", "(", "func @f(", "{a = ", "-", "@\"", "module @m "] {
        let deep = piece.repeat(200_000);
        parse_is_safe(&deep);
        parse_is_safe(&format!("module @m func @main() -> () {{ %x: f32[1,1] = constant {{value = {deep}"));
    }
}

#[test]
fn lines_are_those_of_the_source() {
    let source = "module @m\n\nfunc @f(%x: f32[])\n -> (f32[]) {\n  %y: f32[] =\n    negate %x\n  %z: f32[] = abs %y\n  return %z\n}\n";
    let (module, lines) = text::parse_with_lines(source).unwrap();
    let f = module.find("f").unwrap();
    assert_eq!(lines.function_line(f), Some(3));
    assert_eq!(lines.op_line(f, OpId::new(0)), Some(5));
    assert_eq!(lines.op_line(f, OpId::new(1)), Some(7));
    assert_eq!(lines.op_line(f, OpId::new(2)), None);
    assert_eq!(lines.function_line(FuncId::new(1)), None);
}

#[test]
fn a_function_prints_alone_with_numbered_callees_and_no_paths() {
    let source = "module @m\nfunc @id(%x: f32[]) -> (f32[]) { return %x }\n\
        func @main(%x: f32[]) -> (f32[]) { %y: f32[] = call %x {callee = @id} @layers.0 return %y }";
    let module = text::parse(source).unwrap();
    let main = module.function(module.entry().unwrap()).unwrap();
    let expected =
        "func @main(%v0: f32[]) -> (f32[]) {\n  %v1: f32[] = call %v0 {callee = @#0}\n  return %v1\n}\n";
    assert_eq!(main.to_string(), expected);
}

#[test]
fn functions_of_one_name_stay_apart() {
    let source = "module @m\nfunc @f() -> () { return }\nfunc @f() -> () { return }\n\
        func @main() -> () { call {callee = @f} call {callee = @#1} call {callee = @#9} return }";
    let printed = text::parse(source).unwrap().to_string();
    assert!(
        printed.contains("  call {callee = @f}\n  call {callee = @#1}\n  call {callee = @#9}\n"),
        "{printed}"
    );
    parse_is_safe(&printed);
}
