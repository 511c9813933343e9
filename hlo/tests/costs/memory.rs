//! Temporaries, and what a program is given and returns.

use lapidary_hlo::{Module, Report, ReportOptions};

use crate::report;

#[test]
fn values_with_memory_of_their_own() {
    let fused = "fused {
        cache = f32[64,256]{1,0} parameter(0)
        new = f32[1,256]{1,0} parameter(1)
        at = s32[] parameter(2)
        d = f32[64,256]{1,0} dynamic-update-slice(cache, new, at, at)
        n = f32[1,256]{1,0} negate(new)
        ROOT t = (f32[64,256]{1,0}, f32[1,256]{1,0}) tuple(d, n)
    }";
    let body = "cache = f32[64,256]{1,0} parameter(0)
        new = f32[1,256]{1,0} parameter(1)
        at = s32[] parameter(2)
        big = f32[32,256]{1,0} broadcast(new), dimensions={0,1}, metadata={op_name=\"layers.0.mlp/broadcast\"}
        chip = f32[32,256]{1,0:S(1)} negate(big)
        small = f32[2,256]{1,0} slice(chip), slice={[0:2], [0:256]}
        f = (f32[64,256]{1,0}, f32[1,256]{1,0}) fusion(cache, new, at), kind=kLoop, calls=fused
        out = f32[64,256]{1,0} get-tuple-element(f), index=0
        upd = f32[64,256]{1,0} dynamic-update-slice(out, new, at, at)
        ROOT t = (f32[64,256]{1,0}, f32[2,256]{1,0}) tuple(upd, small)";
    let report = report(fused, body);
    let found: Vec<_> = report
        .temporaries
        .iter()
        .map(|t| (t.name.as_str(), t.bytes, t.is_result, t.shape.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("big", 32 * 1024, false, "f32[32,256]"),
            ("small", 2048, true, "f32[2,256]"),
            ("f", 1024, false, "(f32[64,256], f32[1,256])"),
        ]
    );
    assert_eq!(report.temporaries[0].path.as_deref(), Some("layers.0.mlp"));
}

#[test]
fn temporaries_that_are_alive_together() {
    let body = "x = f32[256]{0} parameter(0)
        a = f32[256]{0} negate(x)
        view = f32[2,128]{1,0} bitcast(a)
        b = f32[512]{0} concatenate(x, x), dimensions={0}
        c = f32[256]{0} slice(b), slice={[0:256]}
        chip = f32[256]{0:S(1)} add(c, x)
        late = f32[2,128]{1,0} negate(view)
        ROOT sum = f32[2,128]{1,0} add(late, late)";
    // 1 KiB of `a`, which its view keeps, with 2 KiB of `b` and 1 of `c`. The sum is the result.
    assert_eq!(report("", body).temporary_peak_bytes, 4096);
}

#[test]
fn operands_of_what_is_going_on_are_alive() {
    let started = "x = f32[256]{0} parameter(0)
        a = f32[256]{0} negate(x)
        start = (f32[256]{0:S(1)}, f32[256]{0}, u32[]) copy-start(a)";
    let meanwhile = "b = f32[512]{0} concatenate(x, x), dimensions={0}
        c = f32[256]{0:S(1)} slice(b), slice={[0:256]}";
    let done = "done = f32[256]{0:S(1)} copy-done(start)";
    let end = "ROOT sum = f32[256]{0} add(done, c)";
    let peak = |lines: [&str; 4]| report("", &lines.join("\n")).temporary_peak_bytes;
    assert_eq!(peak([started, meanwhile, done, end]), 3072);
    assert_eq!(peak([started, done, meanwhile, end]), 2048);
}

#[test]
fn what_a_loop_needs_is_alive_beside_what_stands_around_it() {
    let others = "body {
        state = (s32[], f32[256]{0}) parameter(0)
        i = s32[] get-tuple-element(state), index=0
        x = f32[256]{0} get-tuple-element(state), index=1
        wide = f32[512]{0} concatenate(x, x), dimensions={0}
        next = f32[256]{0} slice(wide), slice={[0:256]}
        ROOT out = (s32[], f32[256]{0}) tuple(i, next)
    }
    cond {
        state = (s32[], f32[256]{0}) parameter(0)
        ROOT go = pred[] constant(true)
    }";
    let body = "x = f32[256]{0} parameter(0)
        i = s32[] constant(0)
        a = f32[256]{0} negate(x)
        init = (s32[], f32[256]{0}) tuple(i, a)
        loop = (s32[], f32[256]{0}) while(init), condition=cond, body=body
        y = f32[256]{0} get-tuple-element(loop), index=1
        ROOT sum = f32[256]{0} add(y, x)";
    // What the loop carries, and within it the wide one; its last value is what it carries.
    assert_eq!(report(others, body).temporary_peak_bytes, 1024 + 2048);
}

#[test]
fn parameters_know_their_readers() {
    let text = "HloModule m, is_scheduled=true, input_output_alias={ {1}: (0, {}, may-alias) }
    ENTRY main {
        cache = f32[64,256]{1,0} parameter(0), metadata={op_name=\"cache.0.keys\"}
        w = f32[1,256]{1,0} parameter(1), metadata={op_name=\"model.embed.weight\"}
        at = s32[] parameter(2), metadata={op_name=\"start\"}
        unread = f32[8]{0} parameter(3), metadata={op_name=\"model.layers.0.norm.weight\"}
        new = f32[1,256]{1,0} negate(w), metadata={op_name=\"layers.0.self_attn.k_proj/neg\"}
        upd = f32[64,256]{1,0} dynamic-update-slice(cache, new, at, at), metadata={op_name=\"layers.0.cache/dus\"}
        all = f32[64,256]{1,0} negate(upd), metadata={op_name=\"layers.0.self_attn.attention/neg\"}
        again = f32[1,256]{1,0} add(w, new), metadata={op_name=\"lm_head/add\"}
        one = f32[1,256]{1,0} slice(all), slice={[0:1], [0:256]}
        out = f32[1,256]{1,0} add(one, again), metadata={op_name=\"lm_head/add\"}
        ROOT t = (f32[1,256]{1,0}, f32[64,256]{1,0}) tuple(out, upd)
    }";
    let module = Module::from_bytes(text.as_bytes()).unwrap();
    let report = Report::of(&module, &ReportOptions::default());
    let parameters: Vec<_> =
        report.parameters.iter().map(|p| (p.path.as_deref().unwrap(), p.read_bytes, p.is_donated)).collect();
    assert_eq!(
        parameters,
        [
            // Updated in place, and then read.
            ("layers.0.self_attn.attention", 64 * 1024, true),
            ("layers.0.self_attn.k_proj", 2 * 1024, false),
            ("layers.0.cache", 4, false),
            ("layers.0.norm", 0, false),
        ]
    );
    let results: Vec<_> = report.results.iter().map(|r| (r.shape.as_str(), r.bytes, r.is_donated)).collect();
    assert_eq!(results, [("f32[1,256]", 1024, false), ("f32[64,256]", 64 * 1024, true)]);
}
