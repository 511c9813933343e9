"""What the peers' clients have in common: the request that they read, the events that they print, the order of work."""

import json
import sys
import time


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def run(load):
    """Makes a model with `load(request)` and measures its cells.

    A model has `versions()`, and `measure(batch, prompt, generated, repetitions)`, which returns seconds of compiling, of
    reading the prompts, and of generating; and notes, or None.
    """
    with open(sys.argv[1]) as file:
        request = json.load(file)
    model = load(request)
    emit("versions", versions=model.versions())
    for batch, prompt in request["cells"]:
        generated = request["generated"]
        try:
            compile_s, prefill_s, decode_s, notes = model.measure(batch, prompt, generated, request["repetitions"])
        # Memory that is not enough has an exception of its own in every library; the next cell may be smaller.
        except Exception as error:  # noqa: BLE001
            reason = str(error).strip().splitlines() or [""]
            emit("cell", batch=batch, prompt=prompt, failure=f"{type(error).__name__}: {reason[0][:200]}")
            continue
        emit(
            "cell", batch=batch, prompt=prompt, compile_s=compile_s, notes=notes,
            prefill_tokens_per_s=batch * prompt / prefill_s, decode_tokens_per_s=batch * generated / decode_s,
        )  # fmt: skip


def mean(times):
    """As Lapidary's figures are, of the timed runs."""
    return sum(times) / len(times)


def timed(action):
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result
