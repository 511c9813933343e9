//! Programs that are cut off or spoilt are refused or read, and nothing worse.

use lapidary_hlo::{Module, Report, ReportOptions};

const TEXT: &str = include_str!("../goldens/loop_of_collectives.v5p.hlo.txt");
const PROTO: &[u8] = include_bytes!("../goldens/loop_of_collectives.v5p.hlo.pb");

fn error(text: &str) -> String {
    Module::from_text(text).unwrap_err().to_string()
}

#[test]
fn cut_off_anywhere() {
    for end in (0..TEXT.trim_end().len()).step_by(11) {
        let cut = &TEXT[..end];
        // A program of one whole computation needs no mark where it starts.
        let is_whole = cut.trim_end().ends_with("\n}") && cut.matches("\n}").count() == 1;
        assert_eq!(Module::from_text(cut).is_ok(), is_whole, "{end}");
    }
    for end in (0..PROTO.len()).step_by(11) {
        let _ =
            Module::from_proto(&PROTO[..end]).map(|module| Report::of(&module, &ReportOptions::default()));
    }
}

#[test]
fn spoilt_anywhere() {
    // Without randomness: each place in turn gets a character that means something elsewhere.
    let spoilers = b"{}[](),=\"%-9 \n/*TS";
    for (place, spoiler) in (0..TEXT.len()).zip(spoilers.iter().cycle()).step_by(29) {
        let mut bytes = TEXT.as_bytes().to_vec();
        bytes[place] = *spoiler;
        if let Ok(module) = Module::from_text(&String::from_utf8_lossy(&bytes)) {
            let _ = Report::of(&module, &ReportOptions::default());
        }
    }
    for (place, bit) in (0..PROTO.len()).zip([0x01, 0x80, 0x08].into_iter().cycle()).step_by(29) {
        let mut bytes = PROTO.to_vec();
        bytes[place] ^= bit;
        if let Ok(module) = Module::from_proto(&bytes) {
            let _ = Report::of(&module, &ReportOptions::default());
        }
    }
}

fn entry(body: &str) -> String {
    format!("HloModule m\nENTRY e {{\n{body}\n}}")
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(error("module {}"), "line 1: expected `HloModule`, found `module {}`");
    assert_eq!(
        error(&entry("x = f33[4] parameter(0)")),
        "line 3: expected a shape such as `bf16[4,128]`, found `f33[4] parameter(0)`"
    );
    assert_eq!(
        error(&entry("x = f32[4] parameter(0)\ny = f32[4] negate(z)")),
        "line 4: instruction `y` of computation `e`: operand `z` is not an earlier instruction of the computation"
    );
    assert_eq!(
        error(&entry("x = f32[4] parameter(0), metadata={op_name=\"a}")),
        "line 3: expected an attribute with a closing quote, found `{op_name=\"a}`"
    );
    assert_eq!(
        error(&entry("x = f32[4] parameter(0)\ny = f32[4] fusion(x)")),
        "line 4: instruction `y` of computation `e`: a fusion needs `calls`"
    );
    assert_eq!(
        error(&entry("x = f32[4] parameter(0)\ny = f32[4] call(x), to_apply=f")),
        "line 4: instruction `y` of computation `e`: it calls computation `f`, which the module does not have"
    );
    assert_eq!(
        error(&entry("x = f32[4] parameter(0)\nx = f32[4] negate(x)")),
        "line 4: instruction `x` of computation `e`: the name is taken"
    );
    assert_eq!(
        error(&entry("x = f32[4] parameter(0)\ny = f32[4] all-reduce(x), replica_groups=[2,3]<=[4]")),
        "line 4: expected replica groups that fit their number of devices, found `[2,3]<=[4]`"
    );
    assert_eq!(error("HloModule m"), "the module: the module has no entry computation");
    let empty = "HloModule m\nENTRY e {\n}";
    assert_eq!(
        error(empty),
        "line 2: computation `e`: the computation has no instruction that is its result"
    );
    let recursive = entry("x = f32[4] parameter(0)\ny = f32[4] call(x), to_apply=e");
    assert_eq!(error(&recursive), "line 2: computation `e`: the computation calls itself");
    assert_eq!(Module::from_proto(b"HloModule").unwrap_err().to_string(), "not a serialized HloModuleProto");
}

#[test]
fn nesting_has_limits() {
    let call = |depth: usize| {
        let callee =
            depth.checked_sub(1).map_or_else(String::new, |d| format!("y = f32[] call(x), to_apply=f{d}\n"));
        format!("f{depth} {{\nx = f32[] parameter(0)\n{callee}}}\n")
    };
    let deep: String = (0..100_000).map(call).collect();
    let text = format!(
        "HloModule m\n{deep}ENTRY e {{\nx = f32[] parameter(0)\ny = f32[] call(x), to_apply=f99999\n}}"
    );
    assert!(error(&text).contains("calls nest more than 64 deep"));
    let tuple = "(".repeat(100_000);
    assert!(error(&entry(&format!("x = {tuple}"))).contains("nested at most 32 deep"));
}

#[test]
fn work_does_not_explode() {
    // Each computation calls the one before twice: 2^60 runs, which saturate.
    let double = |depth: u32| match depth {
        0 => "f0 {\nx = f32[256] parameter(0)\ny = f32[256] negate(x)\n}\n".to_string(),
        _ => {
            let call = format!("call(x), to_apply=f{}", depth - 1);
            format!("f{depth} {{\nx = f32[256] parameter(0)\ny = f32[256] {call}\nz = f32[256] {call}\n}}\n")
        }
    };
    let others: String = (0..60).map(double).collect();
    let text = format!(
        "HloModule m\n{others}ENTRY e {{\nx = f32[256] parameter(0)\ny = f32[256] call(x), to_apply=f59\n}}"
    );
    let report = Report::of(&Module::from_text(&text).unwrap(), &ReportOptions::default());
    assert_eq!(report.instructions[0].times, 1 << 59);
    assert_eq!(report.traffic.read, u64::MAX);
}
