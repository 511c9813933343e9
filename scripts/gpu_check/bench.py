"""Lapidary's own figures: one `lapidary bench` for each model, whose tests come in the order of importance."""

from . import process

# Two timed runs of each test after one that is not: a short stay is better spent on more tests.
REPETITIONS = 2


def tests(cells, generated):
    """The tests of all cells, each a prompt and a generation after it."""
    return [test for cell in cells for test in (f"pp{cell.prompt}x{cell.batch}", f"tg{generated}@{cell.prompt}x{cell.batch}")]


def command(options, model):
    named = ",".join(tests(options.scale.cells, options.scale.generated))
    return [
        options.lapidary, "bench", "--synth", model, "--synth-on-device", "--dtype", "bf16",
        "--device", options.device, "--test", named, "--repetitions", REPETITIONS, "--warmup", 1, "--output", "jsonl", "--quiet",
    ]  # fmt: skip


def run(options, model, environment, seconds, results):
    """Measures what there is time for. Returns how it ended."""
    cells = {(cell.batch, cell.prompt): cell for cell in options.scale.cells}

    def note(test):
        is_prompt = test["kind"] == "prompt"
        cell = cells[test["batch"], test["tokens"] if is_prompt else test["depth"]]
        if "failed" in test:
            results.cell("lapidary", model, cell, failure=test["failed"])
            return
        rate, spread, compiling = test["tokens_per_s"]["mean"], test["tokens_per_s"]["stddev"], test["compiling"]["seconds"]
        if is_prompt:
            figures = {"prefill_tokens_per_s": rate, "prefill_stddev": spread, "of_matrix_rate": test["of_matrix_peak"], "prefill_compile_s": compiling}
        else:
            figures = {"decode_tokens_per_s": rate, "decode_stddev": spread, "of_bandwidth": test["of_read_bandwidth"], "decode_compile_s": compiling}
        results.cell("lapidary", model, cell, **figures)

    def hear(event):
        if "kind" in event:
            note(event)
            return
        # What all tests have in common comes first, and again at the end, when the limits were measured once more.
        if event.get("peaks"):
            results.known["limits"][model] = {name: event["peaks"][name]["best"] for name in ("read_bandwidth", "matrix_peak")}
        results.known["lapidary"] = {name: event[name] for name in ("lapidary_version", "plugin_version", "pjrt_api_version", "build", "device")}
        for test in event["tests"]:
            note(test)
        results.save()

    log = options.out / "logs" / f"lapidary-{model}.log"
    _, in_time = process.run(command(options, model), log, seconds, environment, hear)
    return "done" if in_time else "time was up"
