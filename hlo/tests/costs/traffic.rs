//! Bytes of single instructions.

use lapidary_hlo::{MemorySpaces, ReportOptions};

use crate::{instruction, moved, report, report_with};

#[test]
fn operands_are_read_once_and_results_written() {
    let body = "x = f32[256]{0} parameter(0)
        y = f32[256]{0} parameter(1)
        ROOT sum = f32[256]{0} add(x, y)";
    assert_eq!(moved("", body), (2048, 1024));
    let body = "x = f32[256]{0} parameter(0)
        ROOT twice = f32[256]{0} add(x, x)";
    assert_eq!(moved("", body), (1024, 1024));
}

#[test]
fn names_and_views_are_free() {
    let body = "x = f32[256]{0} parameter(0)
        b = f32[16,16]{1,0} bitcast(x)
        t = (f32[16,16]{1,0}, f32[256]{0}) tuple(b, x)
        ROOT g = f32[16,16]{1,0} get-tuple-element(t), index=0";
    assert_eq!(moved("", body), (0, 0));
}

#[test]
fn padding_is_moved_too() {
    let body = "x = bf16[10,100]{1,0:T(8,128)(2,1)} parameter(0)
        ROOT c = bf16[10,100]{0,1:T(8,128)(2,1)} copy(x)";
    assert_eq!(moved("", body), (16 * 128 * 2, 104 * 128 * 2));
}

#[test]
fn slices_read_what_they_take() {
    let body = "x = f32[64,256]{1,0} parameter(0)
        i = s32[] parameter(1)
        ROOT s = f32[1,256]{1,0} dynamic-slice(x, i, i), dynamic_slice_sizes={1,256}";
    assert_eq!(moved("", body), (1024 + 4, 1024));
    let body = "x = f32[64,256]{1,0} parameter(0)
        ROOT s = f32[2,256]{1,0} slice(x), slice={[0:2], [0:256]}";
    assert_eq!(moved("", body), (2048, 2048));
    let body = "table = bf16[1000,128]{1,0} parameter(0)
        ids = s32[4]{0} parameter(1)
        ROOT g = bf16[4,128]{1,0} gather(table, ids), offset_dims={1}, collapsed_slice_dims={0}, \
            start_index_map={0}, index_vector_dim=1, slice_sizes={1,128}";
    assert_eq!(moved("", body), (4 * 256 + 16, 4 * 256));
}

#[test]
fn updates_in_place_move_the_update() {
    let body = "x = f32[64,256]{1,0} parameter(0)
        u = f32[1,256]{1,0} parameter(1)
        i = s32[] parameter(2)
        ROOT d = f32[64,256]{1,0} dynamic-update-slice(x, u, i, i)";
    assert_eq!(moved("", body), (1024 + 4, 1024));
}

const OVERWRITE: &str = "overwrite {\n a = f32[] parameter(0)\n ROOT b = f32[] parameter(1)\n}";
const ACCUMULATE: &str =
    "accumulate {\n a = f32[] parameter(0)\n b = f32[] parameter(1)\n ROOT c = f32[] add(a, b)\n}";

#[test]
fn a_scatter_reads_what_it_adds_to() {
    let body = |function: &str| {
        format!(
            "x = f32[64,256]{{1,0}} parameter(0)
            i = s32[2,1]{{1,0}} parameter(1)
            u = f32[2,256]{{1,0}} parameter(2)
            ROOT s = f32[64,256]{{1,0}} scatter(x, i, u), update_window_dims={{1}}, \
                inserted_window_dims={{0}}, scatter_dims_to_operand_dims={{0}}, index_vector_dim=1, \
                to_apply={function}"
        )
    };
    assert_eq!(moved(OVERWRITE, &body("overwrite")), (2048 + 8, 2048));
    assert_eq!(moved(ACCUMULATE, &body("accumulate")), (2 * 2048 + 8, 2048));
}

#[test]
fn loads_into_on_chip_memory_count_once() {
    let body = "w = bf16[512,512]{1,0} parameter(0)
        start = (bf16[512,512]{1,0:S(1)}, bf16[512,512]{1,0}, u32[]{:S(2)}) copy-start(w)
        done = bf16[512,512]{1,0:S(1)} copy-done(start)
        ROOT n = bf16[512,512]{1,0:S(1)} negate(done)";
    assert_eq!(moved("", body), (512 * 512 * 2, 0));
    let uniform = ReportOptions { memory_spaces: MemorySpaces::Uniform, ..ReportOptions::default() };
    let traffic = report_with("", body, &uniform).traffic;
    assert_eq!((traffic.read, traffic.written), (2 * 512 * 512 * 2, 2 * 512 * 512 * 2));
}

#[test]
fn stores_from_on_chip_memory_write() {
    let body = "w = bf16[512,512]{1,0:S(1)} parameter(0)
        start = (bf16[512,512]{1,0}, bf16[512,512]{1,0:S(1)}, u32[]{:S(2)}) copy-start(w)
        ROOT done = bf16[512,512]{1,0} copy-done(start)";
    assert_eq!(moved("", body), (0, 512 * 512 * 2));
}

#[test]
fn asynchronous_slices_read_the_slice() {
    let short = "w = f32[64,256]{1,0} parameter(0)
        start = ((f32[64,256]{1,0}), f32[8,256]{1,0:S(1)}, s32[]{:S(2)}) slice-start(w), slice={[8:16], [0:256]}
        ROOT done = f32[8,256]{1,0:S(1)} slice-done(start)";
    assert_eq!(moved("", short), (8 * 1024, 0));
    let wrapped = "wrapper {
        p = f32[64,256]{1,0} parameter(0)
        ROOT s = f32[8,256]{1,0:S(1)} slice(p), slice={[8:16], [0:256]}
    }";
    let long = "w = f32[64,256]{1,0} parameter(0)
        start = ((f32[64,256]{1,0}), f32[8,256]{1,0:S(1)}, s32[]{:S(2)}) async-start(w), calls=wrapper
        ROOT done = f32[8,256]{1,0:S(1)} async-done(start), calls=wrapper";
    assert_eq!(moved(wrapped, long), (8 * 1024, 0));
}

#[test]
fn a_prefetch_across_runs_counts_once() {
    let load = |name: &str, attributes: &str| {
        format!(
            "{name} = (f32[256]{{0:S(1)}}, f32[256]{{0}}, u32[]{{:S(2)}}) copy-start(w){attributes}
            {name}.done = f32[256]{{0:S(1)}} copy-done({name})\n"
        )
    };
    let first = load("first", ", cross_program_prefetch_index=0");
    let used = "w = f32[256]{0} parameter(0)\n".to_string() + &first;
    let result = "ROOT n = f32[256]{0:S(1)} negate(first.done)";
    assert_eq!(moved("", &format!("{used}{result}")), (1024, 0));

    let repeated = format!("{used}{}{result}", load("second", ""));
    let report = report("", &repeated);
    assert_eq!((report.traffic.read, report.prefetched_bytes), (1024, 1024));
    assert_eq!(instruction(&report, "second").traffic.read, 1024);
}

#[test]
fn custom_calls_are_reported() {
    let body = "x = f32[256]{0} parameter(0)
        a = f32[256]{0} custom-call(), custom_call_target=\"AllocateBuffer\"
        ROOT c = f32[256]{0} custom-call(x, a), custom_call_target=\"mosaic\"";
    let report = report("", body);
    assert_eq!((report.traffic.read, report.traffic.written), (2048, 1024));
    assert_eq!(report.opaque_calls, ["mosaic"]);
}
