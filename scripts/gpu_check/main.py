"""The run: which steps there are, in which order, and how they share the time."""

import json
import os
import platform
import shlex
import subprocess
import sys
import time

from . import bench, options as command_line, peers, process
from .budget import Budget
from .parity import Parity
from .results import Results

# With less than this, a model does not get as far as its first figure.
LEAST_S = 15.0
# Of the whole run, at most, for what comes before the first figure.
DOCTOR_SHARE = 0.08
PARITY_SHARE = 0.2


class Step:
    """Something to do. Its weight is its claim to the time that is left when its turn comes."""

    def __init__(self, name, weight, action, shown):
        self.name, self.weight, self.action, self.shown = name, weight, action, shown


def steps(options, environment, results):
    """Measurements in the order of importance: Lapidary before peers, and large models before small ones, which are nearer
    to what starting a program costs."""
    system_weights = {"lapidary": 3.0, "jax": 2.0, "torch": 2.0}
    found = []
    for rank, model in enumerate(options.scale.models):
        for system in ("lapidary", *options.peers):
            if system == "lapidary":
                action = lambda seconds, model=model: bench.run(options, model, environment, seconds, results)
                shown = bench.command(options, model)
            else:
                action = lambda seconds, system=system, model=model: peers.run(options, system, model, environment, seconds, results)
                shown = peers.command(options, system, options.out / "requests" / f"{system}-{model}.json")
            # The first model's peers come before the last model's own figures.
            place = rank if system == "lapidary" else rank + 1.5
            found.append((place, Step(f"{system} {model}", system_weights[system], action, shown)))
    return [step for _, step in sorted(found, key=lambda pair: pair[0])]


def main(arguments=None):
    options = command_line.read(arguments)
    budget = Budget(options.minutes * 60)
    environment = surroundings(options)
    planned = steps(options, environment, None)
    if options.dry_run:
        print(dry_run(options, planned))
        return 0
    if not options.lapidary.is_file():
        print(f"error: there is no {options.lapidary}: build it with `cargo build --release`, or name one with --lapidary", file=sys.stderr)
        return 2
    results = Results(options.out, about(options))
    planned = steps(options, environment, results)
    if not attempt(results, budget, "doctor", lambda: doctor(options, environment, budget.seconds * DOCTOR_SHARE, results)):
        print(f"error: no device can be used; {options.out / 'logs'} has what doctor says", file=sys.stderr)
        return 2
    if not options.skip_parity:
        attempt(results, budget, "parity", lambda: parity(options, environment, budget.seconds * PARITY_SHARE, results))
    for number, step in enumerate(planned):
        seconds = budget.slice([later.weight for later in planned[number:]])
        if seconds < LEAST_S and not options.quick:
            results.step(step.name, 0, f"dropped: {seconds:.0f} s were left for it")
            continue
        tell(f"{step.name}: {seconds:.0f} s at most")
        attempt(results, budget, step.name, lambda: step.action(seconds))
    results.known["complete"] = all(step["outcome"] == "done" for step in results.known["steps"])
    results.known["seconds"] = round(budget.elapsed(), 1)
    results.save()
    print((options.out / "table.md").read_text())
    failed = [case["case"] for case in results.known["parity"] if not case["passed"]]
    measured = any(cell["system"] == "lapidary" for cell in results.known["cells"])
    return 1 if failed or not measured else 0


def attempt(results, budget, name, action):
    """Does a step. That it fails is a result, too."""
    started = budget.elapsed()
    try:
        outcome = action()
    except (process.Failed, OSError, ValueError, KeyError) as error:
        outcome = str(error) if isinstance(error, process.Failed) else f"{type(error).__name__}: {error}"
    results.step(name, budget.elapsed() - started, outcome)
    tell(f"{name}: {outcome}")
    return outcome == "done"


def surroundings(options):
    """Variables of every process. What they keep on the disk goes below `--out`, so that no executable is an earlier
    run's, whose tuning may have been another card's."""
    cache = options.out / "cache"
    variables = {
        "LAPIDARY_CACHE_DIR": str(cache / "lapidary"), "TORCHINDUCTOR_CACHE_DIR": str(cache / "torch"), "TRITON_CACHE_DIR": str(cache / "triton"),
        "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    if options.home:
        variables["LAPIDARY_HOME"] = str(options.home.absolute())
    # The plugin may be among the packages of that Python, which the command looks for on the PATH.
    variables["PATH"] = os.pathsep.join([str(options.python.parent), os.environ.get("PATH", os.defpath)])
    return variables


def doctor(options, environment, seconds, results):
    """What is here, in `lapidary doctor`'s words; a missing plugin is installed."""
    kind = options.device.split(":")[0]
    look = [options.lapidary, "doctor", "--device", options.device, "--json"]
    log = options.out / "logs" / "doctor.log"
    try:
        said, _ = process.run(look, log, seconds, environment)
    except process.Failed:
        # A registry, or a directory of wheels that PIP_FIND_LINKS names.
        tell("installing the plugin")
        install = [options.lapidary, "plugin", "install", kind]
        process.run(install, options.out / "logs" / "install.log", seconds * 4, environment)
        said, _ = process.run(look, log, seconds, environment)
    results.known["doctor"] = json.loads(said)
    return "done"


def parity(options, environment, seconds, results):
    for found in Parity(options, environment).run(seconds):
        results.known["parity"].append(found)
        results.save()
        tell(f"parity, {found['case']}: {'passed' if found['passed'] else 'FAILED'}")
    return "done"


def about(options):
    return {
        "request": {
            "device": options.device, "minutes": options.minutes, "models": options.scale.models, "peers": options.peers,
            "cells": [[cell.batch, cell.prompt] for cell in options.scale.cells], "generated": options.scale.generated,
            "quick": options.quick,
        },
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version(), "gpus": gpus()},
        "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def gpus():
    """What the driver says of the cards: model, memory, driver, power limit and clocks."""
    fields = "name,memory.total,memory.free,driver_version,power.limit,clocks.max.sm,clocks.max.memory"
    try:
        query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
        lines = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [dict(zip(fields.split(","), map(str.strip, line.split(",")))) for line in lines if line.strip()]


def dry_run(options, planned):
    """The steps, the least time that each is given, and the commands."""
    lines = [f"at most {options.minutes:g} minutes, results in {options.out}", f"doctor: {options.lapidary} doctor --device {options.device} --json"]
    if not options.skip_parity:
        lines.append(f"parity: {', '.join(options.scale.goldens)}")
    left = options.minutes * 60 * (1 - DOCTOR_SHARE - (0 if options.skip_parity else PARITY_SHARE))
    total = sum(step.weight for step in planned)
    for step in planned:
        lines.append(f"{step.name}: {left * step.weight / total:.0f} s or more: {shlex.join(str(part) for part in step.shown)}")
    return "\n".join(lines)


def tell(text):
    print(text, file=sys.stderr, flush=True)
