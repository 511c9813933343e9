//! Which part of the model pays.

use lapidary_hlo::{COPIES, Groups, ReportOptions, UNATTRIBUTED};

use crate::{instruction, report, report_with};

#[test]
fn prefetches_belong_to_their_users() {
    let body = "w = f32[256]{0} parameter(0)
        s = (f32[256]{0:S(1)}, f32[256]{0}, u32[]{:S(2)}) copy-start(w)
        d = f32[256]{0:S(1)} copy-done(s)
        ROOT n = f32[256]{0} negate(d), metadata={op_name=\"layers.3.mlp.up_proj/neg\" source_file=\"a b.py\" source_line=7}";
    let report = report("", body);
    assert_eq!(instruction(&report, "s").path.as_deref(), Some("layers.3.mlp.up_proj"));
    assert_eq!(report.group("layers.*.mlp").unwrap().traffic.bytes(), 2048);
}

#[test]
fn what_names_nothing_belongs_to_users_and_then_to_sources() {
    let body = "x = f32[256]{0} parameter(0), metadata={op_name=\"model.layers.1.self_attn.q_proj.weight\"}
        a = f32[256]{0} negate(x), metadata={op_name=\"convert.3\"}
        b = f32[256]{0} negate(a), metadata={op_name=\"lm_head/negate\"}
        ROOT c = f32[256]{0} negate(x)";
    let report = report("", body);
    assert_eq!(instruction(&report, "a").path.as_deref(), Some("lm_head"));
    assert_eq!(instruction(&report, "c").path.as_deref(), Some("layers.1.self_attn.q_proj"));
    assert_eq!(instruction(&report, "c").group, "layers.*.attn");
}

#[test]
fn a_fusion_without_a_name_belongs_to_its_dot() {
    let fused = "fused {
        x = f32[16,16]{1,0} parameter(0)
        a = f32[16,16]{1,0} negate(x), metadata={op_name=\"layers.0.norm/a\"}
        b = f32[16,16]{1,0} negate(a), metadata={op_name=\"layers.0.norm/b\"}
        d = f32[16,16]{1,0} dot(b, b), lhs_contracting_dims={1}, rhs_contracting_dims={0}, \
            metadata={op_name=\"layers.0.mlp.gate_proj/dot_general\"}
        ROOT n = f32[16,16]{1,0} negate(d), metadata={op_name=\"negate.7\"}
    }";
    let body = "x = f32[16,16]{1,0} parameter(0)
        ROOT f = f32[16,16]{1,0} fusion(x), kind=kOutput, calls=fused";
    let report = report(fused, body);
    assert_eq!(instruction(&report, "f").path.as_deref(), Some("layers.0.mlp.gate_proj"));
    assert_eq!(instruction(&report, "f").operation, "fusion(dot)");
    // Without a dot, that of most of its instructions.
    let without = fused.replace("dot(b, b)", "add(b, b)").replace("layers.0.mlp.gate_proj", "layers.0.mlp");
    let report = crate::report(&without, body);
    assert_eq!(instruction(&report, "f").path.as_deref(), Some("layers.0.norm"));
}

#[test]
fn copies_are_a_group_of_their_own() {
    let moves = "moves {
        p = f32[16,16]{1,0} parameter(0)
        t = f32[16,16]{0,1} transpose(p), dimensions={1,0}
        ROOT c = f32[16,16]{1,0} copy(t)
    }";
    let body = "x = f32[16,16]{1,0} parameter(0), metadata={op_name=\"cache.0.keys\"}
        c = f32[16,16]{0,1} copy(x)
        f = f32[16,16]{1,0} fusion(c), kind=kLoop, calls=moves
        h = (f32[16,16]{1,0}, f32[16,16]{1,0}, u32[]{:S(2)}) copy-start(f)
        hd = f32[16,16]{1,0} copy-done(h)
        v = (f32[16,16]{1,0:S(1)}, f32[16,16]{1,0}, u32[]{:S(2)}) copy-start(hd)
        vd = f32[16,16]{1,0:S(1)} copy-done(v)
        ROOT n = f32[16,16]{1,0} negate(vd), metadata={op_name=\"layers.0.self_attn/neg\"}";
    let report = report(moves, body);
    let copies: Vec<&str> = report.copies.iter().map(|cost| cost.name.as_str()).collect();
    assert_eq!(copies, ["c", "f", "h"]);
    assert_eq!(report.group(COPIES).unwrap().traffic.bytes(), 6 * 1024);
    assert_eq!(report.copies[0].path.as_deref(), Some("layers.0.self_attn"));
    assert_eq!(instruction(&report, "v").group, "layers.*.attn");
}

#[test]
fn groups_are_the_callers() {
    let body = "x = f32[256]{0} parameter(0)
        a = f32[256]{0} negate(x), metadata={op_name=\"jit(f)/block_1/mlp/neg\"}
        ROOT b = f32[256]{0} custom-call(), custom_call_target=\"c\"";
    let options = ReportOptions { groups: Groups::new([("*.mlp", "mlp")]), ..ReportOptions::default() };
    let report = report_with("", body, &options);
    assert_eq!(report.by_group[0].name, "mlp");
    assert_eq!(report.by_group[1].name, UNATTRIBUTED);
}
