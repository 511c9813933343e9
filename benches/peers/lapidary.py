"""Lapidary as a peer: three of its commands, each a process of its own."""

import json

import process

BENCH_WARMUP = 1


def logits(workshop, peer, short, checkpoint, directory, dtype):
    """The file of the logits of the prompt in the file `short`, computed in `dtype`."""
    path = directory / f"{peer.name}-{dtype}.safetensors"
    path.unlink(missing_ok=True)
    score = ["score", *_common(peer, checkpoint), "--dtype", dtype, "--token-ids", short, "--json", "--logits", path]
    workshop.run([workshop.lapidary, *score], f"{peer.name}-score-{dtype}")
    return path


def first_token(workshop, peer, short, checkpoint):
    """A start of the command: the process, and what it answered. The first one ever fills the cache of executables."""
    generate = ["generate", *_common(peer, checkpoint), "--token-ids", short, "--max-new-tokens", 1, "--ignore-eos", "--json"]
    done = workshop.run([workshop.lapidary, *generate], f"{peer.name}-first")
    return done, json.loads(done.stdout)


def measure(workshop, peer, request, short, checkpoint):
    """One round: the first token of the short prompt, then prefill and decode beside the limits of the machine."""
    first, answer = first_token(workshop, peer, short, checkpoint)
    prompt, tokens = len(request["prompt"]), request["decode_tokens"]
    bench = [workshop.lapidary, "bench", *_common(peer, checkpoint), "--repetitions", request["repetitions"], "--warmup", BENCH_WARMUP, "--output", "json"]
    prefill = _report(workshop.run([*bench, "--pp", prompt, "--tg", 0], f"{peer.name}-prefill"))
    decode = _report(workshop.run([*bench, "--pp", 0, "--tg", tokens, "--depth", prompt], f"{peer.name}-decode"))
    reports = (prefill, decode)
    return {
        "prefill_tokens_per_s": prefill["tests"][0]["tokens_per_s"]["mean"],
        "decode_tokens_per_s": decode["tests"][0]["tokens_per_s"]["mean"],
        # Its own figures, without the start of the process, which takes milliseconds.
        "loaded_s": answer["timings"]["plugin_s"] + answer["timings"]["load_s"],
        "first_token_s": first.wall_s,
        "first_token": answer["token_ids"][0],
        "compile_cached": answer["timings"]["compile_cached"],
        # Without the buffers that bandwidth is measured with.
        "peak_rss_bytes": max([first.peak_rss_bytes, *(report["peak_memory_bytes"] or 0 for report in reports)]),
        "weight_bytes": decode["weight_bytes"],
        "versions": {"lapidary": decode["lapidary_version"], "CPU plugin": decode["plugin_version"]},
        "read_bandwidth": max(report["peaks"]["read_bandwidth"]["best"] for report in reports),
        "matrix_peak": max(report["peaks"]["matrix_peak"]["best"] for report in reports),
        "reports": reports,
    }


def _common(peer, checkpoint):
    return ["--model", checkpoint, "--quiet", "--device", "cpu", *peer.options]


def _report(done):
    report = json.loads(done.stdout)
    if not report["complete"]:
        raise process.Failed("lapidary bench did not finish")
    return report
