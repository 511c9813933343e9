//! Temporaries.

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
