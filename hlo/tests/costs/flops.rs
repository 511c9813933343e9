//! Operations, and the time estimated from them.

use lapidary_hlo::{ReportOptions, Roofline};

use crate::{report, report_with};

fn flops(others: &str, body: &str) -> (u64, u64) {
    let flops = report(others, body).flops;
    (flops.dot, flops.elementwise)
}

#[test]
fn dots() {
    let body = "x = bf16[16,512]{1,0} parameter(0)
        w = bf16[128,512]{1,0} parameter(1)
        ROOT d = f32[16,128]{1,0} dot(x, w), lhs_contracting_dims={1}, rhs_contracting_dims={1}";
    assert_eq!(flops("", body), (2 * 16 * 512 * 128, 0));
    let batched = "x = f32[8,16,32]{2,1,0} parameter(0)
        y = f32[8,32,64]{2,1,0} parameter(1)
        ROOT d = f32[8,16,64]{2,1,0} dot(x, y), lhs_batch_dims={0}, rhs_batch_dims={0}, \
            lhs_contracting_dims={2}, rhs_contracting_dims={1}";
    assert_eq!(flops("", batched), (2 * 8 * 16 * 32 * 64, 0));
}

#[test]
fn convolutions_that_are_dots() {
    let body = "x = bf16[512,512]{1,0} parameter(0)
        w = bf16[512,128]{1,0} parameter(1)
        ROOT c = bf16[512,128]{1,0} convolution(x, w), dim_labels=bf_io->bf";
    assert_eq!(flops("", body), (2 * 512 * 512 * 128, 0));
}

#[test]
fn of_batches_written_as_windows_only_the_input_counts() {
    // Heads of the kernel as a spatial dimension, with the one row of the input padded on both sides.
    let heads = "x = bf16[4,4608,1]{1,0,2} parameter(0)
        w = bf16[4,128,4608]{2,1,0} parameter(1)
        ROOT c = bf16[4,4,128]{2,0,1} convolution(x, w), window={size=4 pad=3_3 rhs_reversal=1}, \
            dim_labels=bf0_0oi->b0f";
    assert_eq!(flops("", heads), (2 * 4 * 4608 * 4 * 128, 0));
    // A batched dot: the input is spread out so that each output sees its own batch alone.
    let batched = "q = bf16[4,4,2,128]{3,2,1,0} parameter(0)
        k = bf16[4,4,4096,128]{3,2,1,0} parameter(1)
        ROOT c = f32[4,4,2,4096]{3,2,1,0} convolution(q, k), window={size=4x4 stride=3x3 lhs_dilate=4x4}, \
            dim_labels=01bf_01oi->01bf";
    assert_eq!(flops("", batched), (2 * 16 * 2 * 128 * 4096, 0));
}

#[test]
fn a_convolution_of_an_image() {
    let body = "x = f32[1,32,32,3]{3,2,1,0} parameter(0)
        w = f32[3,3,3,8]{3,2,1,0} parameter(1)
        ROOT c = f32[1,30,30,8]{3,2,1,0} convolution(x, w), window={size=3x3}, dim_labels=b01f_01io->b01f";
    assert_eq!(flops("", body), (2 * 30 * 30 * 8 * 3 * 3 * 3, 0));
}

#[test]
fn fusions_do_what_is_in_them() {
    let fused = "add {\n a = f32[] parameter(0)\n b = f32[] parameter(1)\n ROOT c = f32[] add(a, b)\n}
    scale {
        p = bf16[16,512]{1,0} parameter(0)
        ROOT m = bf16[16,512]{1,0} multiply(p, p)
    }
    fused {
        x = bf16[16,512]{1,0} parameter(0)
        w = bf16[128,512]{1,0} parameter(1)
        zero = f32[] constant(0)
        s = bf16[16,512]{1,0} fusion(x), kind=kLoop, calls=scale
        d = f32[16,128]{1,0} dot(s, w), lhs_contracting_dims={1}, rhs_contracting_dims={1}
        t = f32[16,128]{1,0} tanh(d)
        n = bf16[16,128]{1,0} convert(t)
        ROOT r = f32[16]{0} reduce(t, zero), dimensions={1}, to_apply=add
    }";
    let body = "x = bf16[16,512]{1,0} parameter(0)
        w = bf16[128,512]{1,0} parameter(1)
        ROOT f = f32[16]{0} fusion(x, w), kind=kOutput, calls=fused";
    assert_eq!(flops(fused, body), (2 * 16 * 512 * 128, 16 * 512 + 16 * 128 + 16 * 128));
}

#[test]
fn the_estimate_is_the_sum_of_the_slowest() {
    let body = "x = bf16[1000,1000]{1,0} parameter(0)
        d = bf16[1000,1000]{1,0} dot(x, x), lhs_contracting_dims={1}, rhs_contracting_dims={0}
        c = bf16[1000,1000]{0,1} copy(d)
        ROOT r = bf16[1000,1000]{0,1} all-reduce(c), replica_groups={{0,1}}, to_apply=add";
    let others = "add {\n a = bf16[] parameter(0)\n b = bf16[] parameter(1)\n ROOT c = bf16[] add(a, b)\n}";
    let roofline = Roofline { flops_per_second: 1e9, hbm_bytes_per_second: 4e6, link_bytes_per_second: 1e6 };
    let options = ReportOptions { roofline: Some(roofline), ..ReportOptions::default() };
    let estimate = report_with(others, body, &options).estimate.unwrap();
    // The dot: 2e9 operations, 4e6 bytes. The copy: 4e6 bytes. The all-reduce: 4e6 bytes, 2e6 of them sent.
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(close(estimate.compute_seconds, 2.0) && close(estimate.hbm_seconds, 3.0), "{estimate:?}");
    assert!(close(estimate.link_seconds, 2.0), "{estimate:?}");
    assert!(close(estimate.seconds, 2.0 + 1.0 + 2.0), "{estimate:?}");
    assert!(close(estimate.lower_bound_seconds, 3.0), "{estimate:?}");
}
