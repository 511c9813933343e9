//! Bytes of fusions.

use crate::moved;

#[test]
fn what_is_between_is_not_moved() {
    let fused = "fused {
        p = f32[256]{0} parameter(0)
        q = f32[256]{0} parameter(1)
        s = f32[256]{0} add(p, q)
        ROOT t = bf16[256]{0} convert(s)
    }";
    let body = "x = f32[256]{0} parameter(0)
        y = f32[256]{0} parameter(1)
        ROOT f = bf16[256]{0} fusion(x, y), kind=kLoop, calls=fused";
    assert_eq!(moved(fused, body), (2048, 512));
}

const LAYER: &str = "x = bf16[46,1024,128]{2,1,0} parameter(0)
    i = s32[] parameter(1)
    y = bf16[1024,128]{1,0} parameter(2)
    ROOT f = bf16[1024,128]{1,0} fusion(x, i, y), kind=kLoop, calls=fused";
const SLICE: u64 = 1024 * 128 * 2;

#[test]
fn a_sliced_parameter_is_read_in_the_slice() {
    let fused = "fused {
        p = bf16[46,1024,128]{2,1,0} parameter(0)
        i = s32[] parameter(1)
        y = bf16[1024,128]{1,0} parameter(2)
        zero = s32[] constant(0)
        s = bf16[1,1024,128]{2,1,0} dynamic-slice(p, i, zero, zero), dynamic_slice_sizes={1,1024,128}
        b = bf16[1024,128]{1,0} bitcast(s)
        ROOT m = bf16[1024,128]{1,0} multiply(b, y)
    }";
    assert_eq!(moved(fused, LAYER), (2 * SLICE + 4, SLICE));
}

#[test]
fn elementwise_operations_before_a_slice_do_not_matter() {
    let fused = "fused {
        p = bf16[46,1024,128]{2,1,0} parameter(0)
        i = s32[] parameter(1)
        y = bf16[1024,128]{1,0} parameter(2)
        zero = s32[] constant(0)
        n = bf16[46,1024,128]{2,1,0} negate(p)
        t = bf16[46,131072]{1,0} bitcast(n)
        s = bf16[1,131072]{1,0} dynamic-slice(t, i, zero), dynamic_slice_sizes={1,131072}
        b = bf16[1024,128]{1,0} bitcast(s)
        ROOT m = bf16[1024,128]{1,0} multiply(b, y)
    }";
    assert_eq!(moved(fused, LAYER), (2 * SLICE + 4, SLICE));
}

#[test]
fn a_parameter_that_is_also_needed_whole_is_read_once() {
    let fused = "fused {
        p = f32[4,256]{1,0} parameter(0)
        s = f32[1,256]{1,0} slice(p), slice={[0:1], [0:256]}
        b = f32[4,256]{1,0} broadcast(s), dimensions={0,1}
        ROOT m = f32[4,256]{1,0} multiply(p, b)
    }";
    let body = "x = f32[4,256]{1,0} parameter(0)
        ROOT f = f32[4,256]{1,0} fusion(x), kind=kLoop, calls=fused";
    assert_eq!(moved(fused, body), (4096, 4096));
}

#[test]
fn what_no_result_needs_is_not_read() {
    let fused = "fused {
        p = f32[256]{0} parameter(0)
        q = f32[256]{0} parameter(1)
        unused = f32[256]{0} negate(q)
        ROOT m = f32[256]{0} negate(p)
    }";
    let body = "x = f32[256]{0} parameter(0)
        y = f32[256]{0} parameter(1)
        ROOT f = f32[256]{0} fusion(x, y), kind=kLoop, calls=fused";
    assert_eq!(moved(fused, body), (1024, 1024));
}

#[test]
fn slices_within_nested_fusions_count_as_slices() {
    let fused = "inner {
        p = f32[64,256]{1,0} parameter(0)
        i = s32[] parameter(1)
        ROOT s = f32[1,256]{1,0} dynamic-slice(p, i, i), dynamic_slice_sizes={1,256}
    }
    fused {
        p = f32[64,256]{1,0} parameter(0)
        i = s32[] parameter(1)
        s = f32[1,256]{1,0} fusion(p, i), kind=kLoop, calls=inner
        ROOT n = f32[1,256]{1,0} negate(s)
    }";
    let body = "x = f32[64,256]{1,0} parameter(0)
        i = s32[] parameter(1)
        ROOT f = f32[1,256]{1,0} fusion(x, i), kind=kOutput, calls=fused";
    assert_eq!(moved(fused, body), (1024 + 4, 1024));
}

const CACHE: &str = "cache = bf16[16,4096,128]{2,1,0} parameter(0)
    new = f32[16,1,128]{2,1,0} parameter(1)
    at = s32[] parameter(2)
    ROOT f = bf16[16,4096,128]{2,1,0} fusion(cache, new, at), kind=kLoop, calls=fused";
const NEW: u64 = 16 * 128;

fn updating(result: &str) -> String {
    format!(
        "fused {{
            cache = bf16[16,4096,128]{{2,1,0}} parameter(0)
            new = f32[16,1,128]{{2,1,0}} parameter(1)
            at = s32[] parameter(2)
            zero = s32[] constant(0)
            narrow = bf16[16,1,128]{{2,1,0}} convert(new)
            {result}
        }}"
    )
}

#[test]
fn an_update_in_place_writes_the_update() {
    let fused =
        updating("ROOT d = bf16[16,4096,128]{2,1,0} dynamic-update-slice(cache, narrow, zero, at, zero)");
    assert_eq!(moved(&fused, CACHE), (NEW * 4 + 4, NEW * 2));
}

#[test]
fn two_updates_of_one_buffer_write_both() {
    let fused = updating(
        "d = bf16[16,4096,128]{2,1,0} dynamic-update-slice(cache, narrow, zero, at, zero)
        ROOT e = bf16[16,4096,128]{2,1,0} dynamic-update-slice(d, narrow, zero, zero, zero)",
    );
    assert_eq!(moved(&fused, CACHE), (NEW * 4 + 4, 2 * NEW * 2));
}

#[test]
fn an_update_behind_views_is_in_place_too() {
    let fused = updating(
        "flat = bf16[16,524288]{1,0} bitcast(cache)
        row = bf16[16,128]{1,0} bitcast(narrow)
        d = bf16[16,524288]{1,0} dynamic-update-slice(flat, row, zero, at)
        ROOT b = bf16[16,4096,128]{2,1,0} bitcast(d)",
    );
    assert_eq!(moved(&fused, CACHE), (NEW * 4 + 4, NEW * 2));
}

#[test]
fn an_update_of_something_computed_is_not_in_place() {
    let fused = updating(
        "n = bf16[16,4096,128]{2,1,0} negate(cache)
        ROOT d = bf16[16,4096,128]{2,1,0} dynamic-update-slice(n, narrow, zero, at, zero)",
    );
    let whole = 16 * 4096 * 128 * 2;
    assert_eq!(moved(&fused, CACHE), (whole + NEW * 4 + 4, whole));
}

#[test]
fn results_of_a_tuple_count_each_for_itself() {
    let fused = "fused {
        cache = f32[64,256]{1,0} parameter(0)
        new = f32[1,256]{1,0} parameter(1)
        at = s32[] parameter(2)
        d = f32[64,256]{1,0} dynamic-update-slice(cache, new, at, at)
        n = f32[1,256]{1,0} negate(new)
        ROOT t = (f32[64,256]{1,0}, f32[1,256]{1,0:S(1)}) tuple(d, n)
    }";
    let body = "cache = f32[64,256]{1,0} parameter(0)
        new = f32[1,256]{1,0} parameter(1)
        at = s32[] parameter(2)
        ROOT f = (f32[64,256]{1,0}, f32[1,256]{1,0:S(1)}) fusion(cache, new, at), kind=kLoop, calls=fused";
    assert_eq!(moved(fused, body), (1024 + 4, 1024));
}

#[test]
fn an_updated_buffer_that_is_also_used_is_read() {
    let fused = "add {\n a = f32[] parameter(0)\n b = f32[] parameter(1)\n ROOT c = f32[] add(a, b)\n}
    fused {
        cache = f32[64,256]{1,0} parameter(0)
        new = f32[1,256]{1,0} parameter(1)
        at = s32[] parameter(2)
        zero = f32[] constant(0)
        d = f32[64,256]{1,0} dynamic-update-slice(cache, new, at, at)
        r = f32[64]{0} reduce(d, zero), dimensions={1}, to_apply=add
        ROOT t = (f32[64,256]{1,0}, f32[64]{0}) tuple(d, r)
    }";
    let body = "cache = f32[64,256]{1,0} parameter(0)
        new = f32[1,256]{1,0} parameter(1)
        at = s32[] parameter(2)
        ROOT f = (f32[64,256]{1,0}, f32[64]{0}) fusion(cache, new, at), kind=kLoop, calls=fused";
    assert_eq!(moved(fused, body), (64 * 1024 + 1024 + 4, 1024 + 256));
}
