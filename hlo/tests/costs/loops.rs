//! Loops, conditionals and calls.

use crate::report;

/// A loop over `(counter, x, limit)` whose body negates 256 floats.
fn negating(condition: &str, step: &str, start: i64, attributes: &str) -> (u64, usize) {
    let state = "(s32[], f32[256]{0}, s32[])";
    let others = format!(
        "condition {{
            s = {state} parameter(0)
            i = s32[] get-tuple-element(s), index=0
            carried = s32[] get-tuple-element(s), index=2
            ten = s32[] constant(10)
            {condition}
        }}
        body {{
            s = {state} parameter(0)
            i = s32[]{{:S(6)}} get-tuple-element(s), index=0
            x = f32[256]{{0}} get-tuple-element(s), index=1
            limit = s32[] get-tuple-element(s), index=2
            one = s32[]{{:S(6)}} constant(1)
            three = s32[]{{:S(6)}} constant(3)
            next = s32[]{{:S(6)}} {step}
            n = f32[256]{{0}} negate(x)
            ROOT t = {state} tuple(next, n, limit)
        }}"
    );
    let body = format!(
        "x = f32[256]{{0}} parameter(0)
        start = s32[] constant({start})
        limit = s32[] constant(20)
        t = {state} tuple(start, x, limit)
        ROOT w = {state} while(t), condition=condition, body=body{attributes}"
    );
    let report = report(&others, &body);
    let negations = report.instructions.iter().find(|cost| cost.name == "n");
    (negations.map_or(0, |cost| cost.times), report.unknown_loops.len())
}

const LESS: &str = "ROOT c = pred[]{:S(6)} compare(i, ten), direction=LT";
const BY_ONE: &str = "add(i, one)";

#[test]
fn the_compiler_may_say_how_often() {
    let known = ", backend_config={\"known_trip_count\":{\"n\":\"46\"}}";
    assert_eq!(negating(LESS, BY_ONE, 0, known), (46, 0));
    let quoted = r#", backend_config="{\"known_trip_count\":{\"n\":\"7\"}}""#;
    assert_eq!(negating(LESS, BY_ONE, 0, quoted), (7, 0));
}

#[test]
fn trip_counts_follow_from_the_text() {
    assert_eq!(negating(LESS, BY_ONE, 0, ""), (10, 0));
    assert_eq!(negating(LESS, BY_ONE, 4, ""), (6, 0));
    assert_eq!(negating(LESS, "add(i, three)", 0, ""), (4, 0));
    assert_eq!(negating(LESS, BY_ONE, 12, ""), (0, 0));
    assert_eq!(negating("ROOT c = pred[] compare(i, ten), direction=LE", BY_ONE, 0, ""), (11, 0));
    assert_eq!(negating("ROOT c = pred[] compare(ten, i), direction=GT", BY_ONE, 0, ""), (10, 0));
    assert_eq!(negating("ROOT c = pred[] compare(i, ten), direction=NE", BY_ONE, 0, ""), (10, 0));
    let down = "ROOT c = pred[] compare(i, ten), direction=GE";
    assert_eq!(negating(down, "subtract(i, three)", 20, ""), (4, 0));
    assert_eq!(negating("ROOT c = pred[] compare(i, carried), direction=LT", BY_ONE, 0, ""), (20, 0));
}

#[test]
fn loops_that_do_not_say_are_reported_and_count_once() {
    assert_eq!(negating(LESS, "multiply(i, three)", 1, ""), (1, 1));
    assert_eq!(negating(LESS, "subtract(i, one)", 0, ""), (1, 1));
    assert_eq!(negating("ROOT c = pred[] constant(true)", BY_ONE, 0, ""), (1, 1));
}

#[test]
fn counters_within_fusions_are_followed() {
    let others = "
        less {
            a = s32[] parameter(0)
            limit = s32[] constant(5)
            ROOT c = pred[] compare(a, limit), direction=LT
        }
        next {
            a = s32[] parameter(0)
            one = s32[] constant(1)
            ROOT n = s32[] add(a, one)
        }
        condition {
            s = (s32[]) parameter(0)
            i = s32[] get-tuple-element(s), index=0
            ROOT c = pred[] fusion(i), kind=kLoop, calls=less
        }
        body {
            s = (s32[]) parameter(0)
            i = s32[] get-tuple-element(s), index=0
            n = s32[] fusion(i), kind=kLoop, calls=next
            ROOT t = (s32[]) tuple(n)
        }";
    let body = "zero = s32[] constant(0)
        c = s32[] copy(zero)
        t = (s32[]) tuple(c)
        ROOT w = (s32[]) while(t), condition=condition, body=body";
    let report = report(others, body);
    assert!(report.unknown_loops.is_empty());
    assert_eq!(crate::instruction(&report, "n").times, 5);
    assert_eq!(crate::instruction(&report, "c").times, 6, "a condition also holds once not");
}

#[test]
fn loops_within_loops_multiply() {
    let others = "
        forever {
            s = (f32[256]{0}) parameter(0)
            ROOT c = pred[] constant(true)
        }
        inner {
            s = (f32[256]{0}) parameter(0)
            x = f32[256]{0} get-tuple-element(s), index=0
            n = f32[256]{0} negate(x)
            ROOT t = (f32[256]{0}) tuple(n)
        }
        outer {
            s = (f32[256]{0}) parameter(0)
            ROOT w = (f32[256]{0}) while(s), condition=forever, body=inner, \
                backend_config={\"known_trip_count\":{\"n\":\"3\"}}
        }";
    let body = "x = f32[256]{0} parameter(0)
        t = (f32[256]{0}) tuple(x)
        ROOT w = (f32[256]{0}) while(t), condition=forever, body=outer, \
            backend_config={\"known_trip_count\":{\"n\":\"5\"}}";
    let report = report(others, body);
    assert_eq!((report.traffic.read, report.traffic.written), (15 * 1024, 15 * 1024));
    assert_eq!(report.flops.elementwise, 15 * 256);
}

#[test]
fn of_the_branches_the_dearest_counts() {
    let others = "
        little {
            x = f32[256]{0} parameter(0)
            ROOT n = f32[256]{0} negate(x)
        }
        much {
            x = f32[256]{0} parameter(0)
            a = f32[256]{0} negate(x)
            ROOT b = f32[256]{0} negate(a)
        }";
    let body = |branches: &str| {
        format!(
            "p = s32[] parameter(0)
            x = f32[256]{{0}} parameter(1)
            ROOT c = f32[256]{{0}} conditional(p, x, x), {branches}"
        )
    };
    for branches in [
        "branch_computations={little, much}",
        "branch_computations={%much, %little}",
        "true_computation=little, false_computation=much",
    ] {
        assert_eq!(crate::moved(others, &body(branches)), (2048, 2048), "{branches}");
    }
}

#[test]
fn calls_run_what_they_call() {
    let others = "
        double {
            x = f32[256]{0} parameter(0)
            ROOT n = f32[256]{0} add(x, x)
        }";
    let body = "x = f32[256]{0} parameter(0)
        a = f32[256]{0} call(x), to_apply=double
        s = ((f32[256]{0}), f32[256]{0}) call-start(a), to_apply=double
        ROOT b = f32[256]{0} call-done(s)";
    assert_eq!(crate::moved(others, body), (2048, 2048));
}
