"""The results as Markdown."""

from .peers import LABELS

HEADER = """\
| model | rows x prompt | system | prefill, tok/s | of matrix rate | / Lapidary | decode, tok/s | of bandwidth | / Lapidary |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def markdown(known):
    parts = [_about(known), _parity(known), _limits(known), _cells(known), _steps(known)]
    return "\n".join(part for part in parts if part)


def _about(known):
    machine, request = known["machine"], known["request"]
    cards = ", ".join(f"{gpu['name']} ({gpu['memory.total']}, driver {gpu['driver_version']})" for gpu in machine["gpus"])
    own = known.get("lapidary", {})
    versions = [f"Lapidary {own['lapidary_version']} ({own['build']}), plugin {own['plugin_version']}" if own else "Lapidary"]
    for peer, found in known.get("peers", {}).items():
        versions.append(" ".join(f"{name} {version}" for name, version in found.items()) or peer)
    quick = "**A trial of the script** with a tiny model: its figures mean nothing.\n\n" if request["quick"] else ""
    complete = "" if known["complete"] else " Not all of it was measured; the steps below say why."
    return f"{quick}{cards or request['device']}; {known['date']}; {'; '.join(versions)}. Random weights in bf16.{complete}\n"


def _parity(known):
    if not known["parity"]:
        return ""
    lines = ["| checkpoint | parity | |", "| --- | --- | --- |"]
    for case in sorted(known["parity"], key=lambda case: case["case"]):
        if "error" in case:
            told = case["error"]
        elif "mean_abs_error" in case:
            told = f"bf16: mean logit error {case['mean_abs_error']:.4f}; transformers in bf16 on {case['transformers_on']} {case['transformers_mean_abs_error']:.4f}"
        else:
            told = f"f32: largest logit error {case['max_abs_error']:.1e} of {case['tolerance']:.0e}; greedy tokens: {case['greedy']}"
        lines.append(f"| {case['case']} | {'passed' if case['passed'] else '**failed**'} | {_cell_text(told)} |")
    return "\n".join(lines) + "\n"


def _limits(known):
    if not known["limits"]:
        return ""
    best = {name: max(limits[name] for limits in known["limits"].values()) for name in ("read_bandwidth", "matrix_peak")}
    return f"Measured limits, the best of the run: {best['read_bandwidth'] / 1e9:.0f} GB/s read, {best['matrix_peak'] / 1e12:.0f} Tflop/s in bf16.\n"


def _cells(known):
    if not known["cells"]:
        return ""
    request = known["request"]
    order = {"lapidary": 0, "jax": 1, "torch": 2}
    models = list(request["models"])
    place = lambda cell: (models.index(cell["model"]), [cell["batch"], cell["prompt"]], order[cell["system"]])
    own = {(cell["model"], cell["batch"], cell["prompt"]): cell for cell in known["cells"] if cell["system"] == "lapidary"}
    lines = []
    for cell in sorted(known["cells"], key=place):
        ours = own.get((cell["model"], cell["batch"], cell["prompt"]), {})
        columns = [cell["model"], f"{cell['batch']} x {cell['prompt']}", LABELS[cell["system"]]]
        for phase, ratio in (("prefill", "of_matrix_rate"), ("decode", "of_bandwidth")):
            rate = cell.get(f"{phase}_tokens_per_s")
            base = ours.get(f"{phase}_tokens_per_s")
            columns += [_number(rate), _share(cell.get(ratio)), f"{rate / base:.2f}" if rate and base else ""]
        if cell.get("failure"):
            columns[2] += f": {_cell_text(cell['failure'])}"
        lines.append("| " + " | ".join(columns) + " |")
    return HEADER + "\n".join(lines) + "\n"


def _steps(known):
    unfinished = [step for step in known["steps"] if step["outcome"] != "done"]
    return "\n".join(f"- {step['name']}: {_cell_text(step['outcome'])}" for step in unfinished) + "\n" if unfinished else ""


def _number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _share(value):
    return "" if value is None else f"{value:.2f}"


def _cell_text(text):
    """In one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")[:200]
