"""Peers on the same card: a process for each and model, which goes through the cells in the order of importance."""

import json

from . import process
from .options import CLIENTS

LABELS = {"lapidary": "Lapidary", "jax": "JAX, plain", "torch": "transformers, torch.compile"}
PACKAGES = {"jax": ("jax",), "torch": ("torch", "transformers")}
REPETITIONS = 2


def missing(options, peer):
    """The package that a peer lacks, if it lacks one."""
    for package in PACKAGES[peer]:
        command = [options.python, "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"]
        try:
            process.run(command, options.out / "logs" / f"find-{package}.log", 30)
        except process.Failed:
            return package
    return None


def command(options, peer, request):
    return [options.python, CLIENTS / f"{peer}_cells.py", request]


def config(options, model, environment):
    """The `config.json` of a model: what an export of its smallest program says."""
    folder = options.out / "configs" / model
    export = ["export", "--model", model, "--dtype", "bf16", "--phase", "decode", "--context", 16, "--out", folder, "--force", "--quiet"]
    process.run([options.lapidary, *export], options.out / "logs" / f"config-{model}.log", 60, environment)
    return json.loads((folder / "manifest.json").read_text())["model"]["config"]


def run(options, peer, model, environment, seconds, results):
    """Measures what there is time for. Returns how it ended."""
    package = missing(options, peer)
    if package:
        return f"{options.python} has no {package}"
    request = options.out / "requests" / f"{peer}-{model}.json"
    request.parent.mkdir(parents=True, exist_ok=True)
    wanted = {
        "config": config(options, model, environment),
        "device": options.device,
        "cells": [[cell.batch, cell.prompt] for cell in options.scale.cells],
        "generated": options.scale.generated,
        "repetitions": REPETITIONS,
    }
    request.write_text(json.dumps(wanted))
    cells = {(cell.batch, cell.prompt): cell for cell in options.scale.cells}

    def hear(event):
        if event.get("event") == "cell":
            cell = cells[event["batch"], event["prompt"]]
            names = ("prefill_tokens_per_s", "decode_tokens_per_s", "compile_s", "notes", "failure")
            results.cell(peer, model, cell, **{name: event[name] for name in names if event.get(name) is not None})
        elif event.get("event") == "versions":
            results.known.setdefault("peers", {})[peer] = event["versions"]
            results.save()

    log = options.out / "logs" / f"{peer}-{model}.log"
    _, in_time = process.run(command(options, peer, request), log, seconds, environment, hear)
    return "done" if in_time else "time was up"
