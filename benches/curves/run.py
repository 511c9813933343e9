#!/usr/bin/env python3
"""Measures what decoding, compiling and memory cost against context, batch and layers, with `lapidary bench`.

    benches/curves/run.py --out target/curves/results.json
    benches/curves/run.py --out target/curves/results.json --splice docs/performance.md    # and plots and tables there
    benches/curves/run.py --out target/curves/quick.json --quick                           # does it work?

Results are kept after every job; what is there is not measured again. README.md, beside this file, says what is
measured on how many layers, and why.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "common"))

import machine
import store

STEPS = 16
"""Tokens that a measurement makes."""

Plan = collections.namedtuple("Plan", "layers curve_layers contexts batches batch_context buckets")

FULL = Plan(
    layers=(2, 4, 8, 16, 26),
    curve_layers=(4, 8),
    contexts=(512, 1024, 2048, 4096, 8192),
    batches=(1, 2, 4, 8, 16, 32),
    batch_context=128,
    buckets=(16, 32, 64, 128, 256, 512),
)
QUICK = Plan(
    layers=(1, 2),
    curve_layers=(1,),
    contexts=(128, 256, 512),
    batches=(1, 2, 4),
    batch_context=64,
    buckets=(16, 32, 64),
)

Job = collections.namedtuple("Job", "varied layers arguments")


def jobs(plan):
    """Runs of `lapidary bench`, by name: the cheap ones first."""
    def generation(contexts, batches):
        depths = ",".join(str(context - STEPS) for context in contexts)
        return ["--pp", "0", "--tg", str(STEPS), "--depth", depths, "--batch", ",".join(map(str, batches))]

    made = {}
    for layers in plan.curve_layers:
        made[f"context-{layers}"] = Job("context", layers, generation(plan.contexts, (1,)))
        made[f"batch-{layers}"] = Job("batch", layers, generation((plan.batch_context,), plan.batches))
    buckets = ["--pp", ",".join(map(str, plan.buckets)), "--tg", "0", "--repetitions", "1", "--warmup", "0"]
    made[f"buckets-{plan.curve_layers[0]}"] = Job("buckets", plan.curve_layers[0], buckets)
    for layers in plan.layers:
        made[f"layers-{layers}"] = Job("layers", layers, generation((plan.contexts[0],), (1,)))
    return made


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE.json", help="where results go, and are looked for")
    parser.add_argument("--config", default="gemma2-2b", help="the shape (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few small points, to see that everything works")
    parser.add_argument("--repetitions", type=int, default=2, help="times that each point is measured, after one to warm up (2)")
    parser.add_argument("--timeout", type=float, default=1200.0, help="seconds that a job may take (1200)")
    parser.add_argument("--lapidary", type=pathlib.Path, metavar="FILE", help="the command; default: this checkout's release build")
    parser.add_argument("--plots", type=pathlib.Path, metavar="DIR", help="draw the plots into DIR")
    parser.add_argument("--splice", type=pathlib.Path, metavar="FILE.md",
                        help="draw the plots into `curves` beside FILE.md, and put them and their tables between its "
                             "<!-- curves:begin --> and <!-- curves:end -->")
    parser.add_argument("--label", help="a sentence to put before the plots, such as what the run was for")
    return parser.parse_args()


def release_build():
    command = ["cargo", "build", "--release", "--locked", "-p", "lapidary"]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return (ROOT / target / "release" / "lapidary").resolve()


def known(path, config):
    """What earlier runs measured; nothing of another shape."""
    if path.exists():
        results = json.loads(path.read_text())
        if results.get("config") != config:
            raise SystemExit(f"{path} has results of {results.get('config')}, not of {config}: give another --out")
        return results
    return {"config": config, "machine": machine.facts(ROOT), "jobs": {}}


def measure(lapidary, config, job, options):
    """A job's results: its report, or why there is none."""
    repetitions = [] if "--repetitions" in job.arguments else ["--repetitions", str(options.repetitions)]
    # Compile times are of compilers, not of the cache of executables.
    command = [str(lapidary), "bench", "--synth", config, "--layers", str(job.layers), *job.arguments, *repetitions,
               "--device", "cpu", "--no-cache", "--quiet", "--output", "json"]
    load_average, started = machine.load_average(), time.monotonic()
    report = failure = None
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=options.timeout)
        if done.returncode:
            failure = done.stderr.strip()[-500:] or f"exit code {done.returncode}"
        else:
            report = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        failure = f"not done after {options.timeout:.0f} s"
    except ValueError as error:
        failure = f"its output is no JSON: {error}"
    return {
        "varied": job.varied, "layers": job.layers, "arguments": job.arguments, "load_average": load_average,
        "wall_s": round(time.monotonic() - started, 1), "report": report, "failure": failure,
    }


def draw(results_file, directory):
    """Draws the plots; returns their tables."""
    command = ["cargo", "run", "--quiet", "--locked", "--example", "cost_curves", "--", str(results_file.resolve()), str(directory.resolve())]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("the plots cannot be drawn")
    return done.stdout


def headline(results):
    about, jobs_ = results["machine"], [job for job in results["jobs"].values() if job["report"]]
    if not jobs_:
        return "Nothing was measured."
    loads, seconds = [job["load_average"] for job in jobs_], sum(job["wall_s"] for job in jobs_)
    bandwidth = [job["report"]["peaks"]["read_bandwidth"]["best"] / 1e9 for job in jobs_]
    report = jobs_[0]["report"]
    failed = [f"{name} ({job['failure'].splitlines()[-1][:200]})" for name, job in results["jobs"].items() if job["failure"]]
    revision = f"{about['revision']}{' and changes' if about['changed'] else ''}" if about["revision"] else "unknown"
    return (
        f"{results['config']}, random weights in {report['dtype']}, {report['threads']} threads on {about['processor']}; read bandwidth "
        f"{min(bandwidth):.1f} to {max(bandwidth):.1f} GB/s; load average before each job {min(loads):.1f} to {max(loads):.1f}; "
        f"{seconds / 60:.0f} minutes; plugin {report['plugin_version']}; {report['build']} build of revision {revision}."
        + (f" Failed: {'; '.join(failed)}." if failed else "")
    )


def main():
    options = arguments()
    lapidary = options.lapidary.resolve() if options.lapidary else release_build()
    results = known(options.out, options.config)
    wanted = jobs(QUICK if options.quick else FULL)
    for number, (name, job) in enumerate(wanted.items(), 1):
        old = results["jobs"].get(name)
        if old and old["report"] and old["arguments"] == job.arguments:
            continue
        print(f"{number} of {len(wanted)}: {name}", file=sys.stderr, flush=True)
        done = results["jobs"][name] = measure(lapidary, options.config, job, options)
        print(f"{number} of {len(wanted)}: {name}: {done['failure'] or 'measured'}, {done['wall_s']} s", file=sys.stderr, flush=True)
        store.write_json(options.out, results)
    plots = options.plots or (options.splice.parent / "curves" if options.splice else None)
    if plots:
        tables = draw(options.out, plots)
        if options.splice:
            store.splice(options.splice, "curves", "\n\n".join(filter(None, [options.label, headline(results), tables])))


if __name__ == "__main__":
    main()
