//! Collectives.

use lapidary_hlo::{Collective, CollectiveKind, ReportOptions};

use crate::{mesh, report_with};

const ADD: &str = "add {\n a = f32[] parameter(0)\n b = f32[] parameter(1)\n ROOT c = f32[] add(a, b)\n}";

fn collective(body: &str, options: &ReportOptions) -> (Collective, (u64, u64)) {
    let body = format!("x = f32[256]{{0}} parameter(0)\n{body}");
    let report = report_with(ADD, &body, options);
    let [collective] = report.collectives.as_slice() else { panic!("{:?}", report.collectives) };
    (collective.clone(), (report.traffic.read, report.traffic.written))
}

fn names(axes: &[&str]) -> Option<Vec<String>> {
    Some(axes.iter().map(ToString::to_string).collect())
}

#[test]
fn all_reduce() {
    let options = mesh(&[("data", 2), ("model", 4)]);
    for groups in
        ["{{0,1,2,3},{4,5,6,7}}", "[2,4]<=[8]", "mesh['data'=2,'m'=4] {'m'}", "mesh['a'=8] {'a':(2)4}"]
    {
        let body = format!(
            "ROOT r = f32[256]{{0}} all-reduce(x), channel_id=3, replica_groups={groups}, \
             use_global_device_ids=true, to_apply=add"
        );
        let (collective, traffic) = collective(&body, &options);
        assert_eq!((collective.kind, collective.channel), (CollectiveKind::AllReduce, 3));
        assert_eq!((collective.bytes, collective.group_size), (1024, Some(4)));
        assert_eq!(collective.sent_bytes, 2 * 768, "{groups}");
        assert_eq!(collective.axes, names(&["model"]), "{groups}");
        assert!(!collective.asynchronous);
        assert_eq!(traffic, (1024, 1024));
    }
}

#[test]
fn groups_of_a_mesh_out_of_order() {
    let body = "ROOT r = f32[256]{0} all-reduce(x), replica_groups=mesh['a'=2,'b'=2], device_ids=(0,2,1,3) {'b'}, \
        to_apply=add";
    let (collective, _) = collective(body, &mesh(&[("data", 2), ("model", 2)]));
    assert_eq!(collective.axes, names(&["data"]));
}

#[test]
fn all_gather_in_two_parts() {
    let body = "s = (f32[256]{0}, f32[1024]{0}) all-gather-start(x), replica_groups=[2,4]<=[4,2]T(1,0), \
            dimensions={0}
        ROOT d = f32[1024]{0} all-gather-done(s)";
    let (collective, traffic) = collective(body, &mesh(&[("data", 4), ("model", 2)]));
    assert_eq!(collective.kind, CollectiveKind::AllGather);
    assert!(collective.asynchronous);
    assert_eq!((collective.bytes, collective.sent_bytes), (4096, 3072));
    assert_eq!(collective.axes, names(&["data"]));
    assert_eq!(traffic, (1024, 4096));
}

#[test]
fn reduce_scatter_short_and_wrapped() {
    let plain =
        "ROOT r = f32[64]{0} reduce-scatter(x), replica_groups={{0,1,2,3}}, dimensions={0}, to_apply=add";
    let short = "s = ((f32[256]{0}), f32[64]{0}) reduce-scatter-start(x), replica_groups={{0,1,2,3}}, \
            dimensions={0}, to_apply=add
        ROOT d = f32[64]{0} reduce-scatter-done(s)";
    for (body, asynchronous) in [(plain, false), (short, true)] {
        let (collective, traffic) = collective(body, &ReportOptions::default());
        assert_eq!(collective.kind, CollectiveKind::ReduceScatter);
        assert_eq!((collective.bytes, collective.sent_bytes), (1024, 768));
        assert_eq!((collective.asynchronous, collective.axes), (asynchronous, None));
        assert_eq!(traffic, (1024, 256));
    }
}

#[test]
fn permutation() {
    let body =
        "s = (f32[256]{0}, f32[256]{0:S(1)}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(x), \
            channel_id=1, source_target_pairs={{0,2},{2,0},{1,3},{3,1}}
        ROOT d = f32[256]{0:S(1)} collective-permute-done(s)";
    let (collective, traffic) = collective(body, &mesh(&[("data", 2), ("model", 2)]));
    assert_eq!((collective.bytes, collective.sent_bytes), (1024, 1024));
    assert_eq!(collective.axes, names(&["data"]));
    assert_eq!(traffic, (1024, 0));
}

#[test]
fn no_groups_are_all_devices() {
    let body = "ROOT r = f32[256]{0} all-to-all(x), replica_groups={}, dimensions={0}";
    let (known, _) = collective(body, &mesh(&[("data", 2), ("model", 2)]));
    assert_eq!((known.group_size, known.sent_bytes), (Some(4), 768));
    assert_eq!(known.axes, names(&["data", "model"]));
    let (unknown, _) = collective(body, &ReportOptions::default());
    assert_eq!((unknown.group_size, unknown.sent_bytes), (None, 1024));
}

#[test]
fn a_collective_in_a_loop_runs_as_often_as_the_loop() {
    let others = format!(
        "{ADD}
        forever {{
            s = (f32[256]{{0}}) parameter(0)
            ROOT c = pred[] constant(true)
        }}
        body {{
            s = (f32[256]{{0}}) parameter(0)
            x = f32[256]{{0}} get-tuple-element(s), index=0
            r = f32[256]{{0}} all-reduce(x), replica_groups={{{{0,1}}}}, to_apply=add
            ROOT t = (f32[256]{{0}}) tuple(r)
        }}"
    );
    let body = "x = f32[256]{0} parameter(0)
        t = (f32[256]{0}) tuple(x)
        ROOT w = (f32[256]{0}) while(t), condition=forever, body=body, \
            backend_config={\"known_trip_count\":{\"n\":\"9\"}}";
    let report = report_with(&others, body, &ReportOptions::default());
    assert_eq!((report.collectives[0].times, report.sent_bytes), (9, 9 * 1024));
}
