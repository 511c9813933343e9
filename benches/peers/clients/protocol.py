"""What the clients written in Python have in common: the request they read, the events they print, the loop between.

A client is given a request, a JSON file, and prints one JSON object a line. `run.py` notes when each line arrives, so
that loading and the first token are timed from the start of the process, imports included.
"""

import json
import sys
import time

# A warm-up makes this many tokens: enough to have compiled and touched everything.
WARMUP_TOKENS = 2


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def run(load):
    """Loads a model with `load(request)` and measures it.

    A model has `prefill(ids)`, which forgets what came before and returns the most likely next token, `step(token)`,
    which returns the one after it, `last_logits()`, the f32 logits `[vocab]` of the last position, and `about()`, a
    dictionary with at least `versions` and `weight_bytes`.
    """
    with open(sys.argv[1]) as file:
        request = json.load(file)
    model = load(request)
    emit("loaded")
    emit("first_token", token=int(model.prefill(request["short"])))
    if request["logits"]:
        model.last_logits().astype("<f4").tofile(request["logits"])
    for turn in range(request["warmup"] + request["repetitions"]):
        warms_up = turn < request["warmup"]
        started = time.perf_counter()
        token = model.prefill(request["prompt"])
        seconds = time.perf_counter() - started
        if not warms_up:
            emit("prefill", tokens=len(request["prompt"]), seconds=seconds)
        tokens = decode(model, token, request, warms_up)
        if not warms_up:
            emit("decode", **tokens)
    emit("done", **model.about())


def decode(model, token, request, warms_up):
    """Goes on from `token`. A slow model ends early, at the request's limit of seconds: the rate is that of the tokens
    it made."""
    wanted = WARMUP_TOKENS if warms_up else request["decode_tokens"]
    ids = [int(token)]
    started = time.perf_counter()
    seconds = 0.0
    while len(ids) <= wanted and seconds < request["decode_seconds"]:
        ids.append(int(model.step(ids[-1])))
        seconds = time.perf_counter() - started
    return {"tokens": len(ids) - 1, "seconds": seconds, "ids": ids}
