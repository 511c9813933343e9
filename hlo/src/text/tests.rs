use crate::module::Module;
use crate::opcode::Opcode;
use crate::shape::COMBINED;
use crate::text::parse_shape;

#[test]
fn layouts() {
    let shape = parse_shape("bf16[4608]{0:T(1024)(128)(2,1)S(1)SC(0:3072)}").unwrap();
    let layout = &shape.as_array().unwrap().layout;
    assert_eq!(layout.minor_to_major, [0]);
    assert_eq!(layout.tiles, [vec![1024], vec![128], vec![2, 1]]);
    assert_eq!(layout.memory_space, 1);

    let shape = parse_shape("s4[<=8, 3]{1,0:T(*,128)L(4)E(4)#(u32)*(u32)D(D,C)M(8)}").unwrap();
    let array = shape.as_array().unwrap();
    assert_eq!(array.dimensions, [8, 3]);
    assert_eq!((array.layout.element_bits, array.layout.tail_alignment), (4, 4));
    assert_eq!(array.layout.tiles, [[COMBINED, 128]]);

    let shape = parse_shape("(f32[2], /*index=1*/(), b(s32[4]{0:S(1)}), token[])").unwrap();
    assert_eq!(shape.to_string(), "(f32[2], (), s32[4], token[])");
}

/// All that the printers of several versions of XLA put into a text.
const VARIED: &str = r#"
// A comment.
HloModule jit_step.3, is_scheduled=true, input_output_alias={ {1}: (0, {}, may-alias), {}: (2, {1}, must-alias) }, entry_computation_layout={(f32[4]{0})->f32[4]{0}}, num_partitions=4

FileNames
1 "a.py"

FunctionNames
1 "step"

FileLocations
1 {file_name_id=1 function_name_id=1 line=3 end_line=3 column=1 end_column=2}

StackFrames
1 {file_location_id=1 parent_frame_id=1}

%add.1 (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum-1 = f32[] add(f32[] %a, f32[] %b), metadata={op_name="add" stack_frame_id=1}
}, execution_thread="main"

ENTRY %main.9-x (p: (f32[4], /*index=1*/s32[])) -> (f32[4], f32[]) {
  %p = (f32[4]{0}, s32[]) parameter(0), sharding={{replicated}, {devices=[2,2]<=[4] last_tile_dims={replicated}}}, origin={{"p" {0}}}
  %table = f32[2,2]{1,0} constant({
    { 1, 2 },
    { 3, nan }
  })
  %n = s32[] constant(-7)
  %c = s32[]{:T(128)} constant(/*folded*/12)
  %g = f32[4]{0} get-tuple-element((f32[4]{0}, s32[]) %p), index=0, control-predecessors={%n, %c}
  ROOT %r = f32[] reduce(%g, %n), dimensions={0}, to_apply=%add.1, frontend_attributes={xla.sdy="{a = \"}\"}"}, metadata={op_type="R" op_name="layers.0/\"odd\" name" profile_type={1} source_file="a b.py" source_line=12}, backend_config={"a":"}","window_config":{"estimated_cycles":"99"}}
}
"#;

#[test]
fn what_printers_print() {
    let module = Module::from_text(VARIED).unwrap();
    assert_eq!((module.name.as_str(), module.is_scheduled), ("jit_step.3", true));
    let aliases: Vec<_> =
        module.aliases.iter().map(|alias| (alias.output.as_slice(), alias.parameter)).collect();
    assert_eq!(aliases, [([1_usize].as_slice(), 0), (&[], 2)]);

    let entry = module.entry();
    assert_eq!(entry.name, "main.9-x");
    let integers: Vec<_> = entry.instructions().map(|(_, i)| i.attributes.integer).collect();
    assert_eq!(integers, [None, None, Some(-7), Some(12), None, None]);
    let (_, get) = entry.instructions().nth(4).unwrap();
    assert_eq!((&get.opcode, get.attributes.tuple_index), (&Opcode::GetTupleElement, Some(0)));
    assert_eq!(get.attributes.control_predecessors.len(), 2);

    let root = entry.root();
    assert_eq!(root.operands.len(), 2);
    assert_eq!(root.attributes.metadata.op_name, r#"layers.0/"odd" name"#);
    assert_eq!(root.attributes.metadata.source_file, "a b.py");
    assert_eq!(root.attributes.metadata.source_line, 12);
    assert_eq!(root.attributes.backend.estimated_cycles, Some(99));
}

#[test]
fn an_element_of_a_tuple_may_be_an_operand() {
    let text = "HloModule m\ne { p = (f32[2]{0}, s32[]) parameter(0)\n a = f32[2]{0} add(%p#0, %p#0)\n \
                ROOT t = (s32[], f32[2]{0}) tuple(%p#1, %a) }";
    let module = Module::from_text(text).unwrap();
    let names: Vec<&str> = module.entry().instructions().map(|(_, i)| i.name.as_str()).collect();
    assert_eq!(names, ["p", "p#0", "a", "p#1", "t"]);
    let (_, element) = module.entry().instructions().nth(3).unwrap();
    assert_eq!((&element.opcode, element.attributes.tuple_index), (&Opcode::GetTupleElement, Some(1)));
    assert_eq!(module.entry().root().name, "t");
    for wrong in ["%p#2", "%q#0", "%p#x"] {
        assert!(Module::from_text(&text.replace("%p#1", wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn the_result_may_stand_anywhere() {
    let text = "HloModule m\ne { x = f32[] parameter(0) ROOT y = f32[] negate(x)\n z = f32[] negate(y) }";
    assert_eq!(Module::from_text(text).unwrap().entry().root().name, "y");
}
