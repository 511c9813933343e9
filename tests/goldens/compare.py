"""Compares committed goldens with regenerated ones."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

# float64 results stored as f32: what other BLAS kernels and another libm may change.
RESULT_TOLERANCE = 2e-6
# How far a measured figure may move. The errors of f32 and bf16 runs depend on the CPU's kernels.
FIGURE_RELATIVE_TOLERANCE = {"transformers_f32_max_abs_error": 3.0, "transformers_bf16_mean_abs_error": 0.25}
DEFAULT_RELATIVE_TOLERANCE = 1e-5
# The margin to the float64 logits is what bf16 logits are kept for; the summary holds its mean.
UNCOMPARED_TENSORS = "logits_bf16."
# Provenance, not results.
UNCOMPARED_KEYS = {"versions", "transformers_version"}


def differences(committed: Path, regenerated: Path) -> Iterator[str]:
    """One line for each way in which the directories' contents differ."""
    ours, theirs = (sorted(p.name for p in directory.glob("*.*")) for directory in (committed, regenerated))
    if ours != theirs:
        yield f"{committed.name}: files {ours} committed, {theirs} regenerated"
    for name in sorted(set(ours) & set(theirs)):
        where = f"{committed.name}/{name}"
        if name.endswith(".safetensors"):
            yield from tensor_differences(where, load_file(committed / name), load_file(regenerated / name))
        elif name.endswith(".json"):
            read = (json.loads((d / name).read_text(encoding="utf-8")) for d in (committed, regenerated))
            yield from json_differences(where, "", *read)


def tensor_differences(where: str, ours: dict, theirs: dict) -> Iterator[str]:
    if ours.keys() != theirs.keys():
        yield f"{where}: tensors {sorted(ours)} committed, {sorted(theirs)} regenerated"
    for name in sorted(ours.keys() & theirs.keys()):
        a, b = ours[name], theirs[name]
        if a.dtype != b.dtype or a.shape != b.shape:
            yield f"{where}: {name} is {a.dtype} {tuple(a.shape)} committed, {b.dtype} {tuple(b.shape)} regenerated"
        elif not name.startswith(UNCOMPARED_TENSORS) and a.numel():
            tolerance = RESULT_TOLERANCE if name.startswith(("logits.", "nll.")) else 0.0
            worst = float((a.double() - b.double()).abs().max())
            if not worst <= tolerance:
                yield f"{where}: {name} differs by {worst:.3g}, tolerance {tolerance:.3g}"


def json_differences(where: str, key: str, ours: object, theirs: object) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for name in ours.keys() - UNCOMPARED_KEYS:
            yield from json_differences(where, name, ours[name], theirs[name])
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for a, b in zip(ours, theirs, strict=True):
            yield from json_differences(where, key, a, b)
    elif isinstance(ours, float) and isinstance(theirs, float):
        if not np.isclose(theirs, ours, rtol=FIGURE_RELATIVE_TOLERANCE.get(key, DEFAULT_RELATIVE_TOLERANCE), atol=0):
            yield f"{where}: {key} is {ours} committed, {theirs} regenerated"
    elif ours != theirs:
        yield f"{where}: {key} is {ours!r} committed, {theirs!r} regenerated"
