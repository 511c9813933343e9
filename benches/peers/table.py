"""The results as Markdown."""

import statistics

FAILED = "failed"


def markdown(results):
    """The table of a run, what it was run on, and what failed or differs."""
    lines = [_headline(results), "", *_table(results), ""]
    notes = _notes(results)
    return "\n".join([*lines, *(["Notes:", "", *notes, ""] if notes else [])])


def _headline(results):
    machine, asked = results["machine"], results["request"]
    layers = f"{asked['layers']} layers of " if asked["layers"] else ""
    bandwidth = [round_["read_bandwidth"] for round_ in _rounds(results, "lapidary")]
    probed = f"read bandwidth {_spread(bandwidth, 1e9, 1)} GB/s in the rounds of this run; " if bandwidth else ""
    revision = f"{machine['revision']}{' and changes' if machine['changed'] else ''}" if machine["revision"] else "unknown"
    loads = [round_["load_average"] for peer in results["peers"].values() for round_ in peer["rounds"]]
    busy = f"load average {min(loads):.1f} to {max(loads):.1f}; " if loads else ""
    rounds = "1 round" if results["rounds"] == 1 else f"{results['rounds']} rounds, interleaved; median (least to most)"
    return (
        f"{layers}{asked['config']}, random weights, batch 1, {asked['threads']} threads on {machine['processor']}; "
        f"{probed}{busy}{rounds}; revision {revision}."
    )


def _table(results):
    prompt, tokens = results["request"]["prompt_tokens"], results["request"]["decode_tokens"]
    header = [
        "peer", "weights", f"prefill {prompt}, tok/s", "÷ Lapidary", f"decode {tokens}, tok/s", "÷ Lapidary", "of bandwidth",
        "peak RSS, GB", "loaded, s", "first token, s", "answer",
    ]
    rows = [header, ["---"] * 2 + ["---:"] * (len(header) - 3) + ["---"]]
    base = _rounds(results, "lapidary")
    for name, peer in results["peers"].items():
        rows.append([peer["label"], peer["weights"], *_figures(peer, base, results)])
    return [f"| {' | '.join(row)} |" for row in rows]


def _figures(peer, base, results):
    rounds = peer["rounds"]
    answer = {"same": "same", "rounding": "within rounding", "wrong": "**differs**"}.get((peer["agreement"] or {}).get("verdict"), "-")
    if not rounds:
        return [FAILED if peer["failure"] else "-", *["-"] * 7, answer]
    of = lambda field: [round_[field] for round_ in rounds]
    ratio = lambda field: _ratio(of(field), [round_[field] for round_ in base])
    return [
        _spread(of("prefill_tokens_per_s")), ratio("prefill_tokens_per_s"),
        _spread(of("decode_tokens_per_s")), ratio("decode_tokens_per_s"),
        _share(peer, results),
        f"{max(of('peak_rss_bytes')) / 1e9:.1f}",
        _spread(of("loaded_s")), _spread(of("first_token_s")),
        answer + (" (cut short)" if peer["failure"] else ""),
    ]


def _share(peer, results):
    """Weight bytes times tokens a second over the bandwidth probed in the same round."""
    probed = {round_["round"]: round_["read_bandwidth"] for round_ in _rounds(results, "lapidary")}
    shares = [
        round_["weight_bytes"] * round_["decode_tokens_per_s"] / probed[round_["round"]]
        for round_ in peer["rounds"] if probed.get(round_["round"])
    ]
    return f"{statistics.median(shares):.2f}" if shares else "-"


def _notes(results):
    notes = []
    for name, peer in results["peers"].items():
        versions = ", ".join(f"{package} {version}" for package, version in peer["versions"].items())
        told = [f"{peer['label']} {peer['weights']}: {versions or 'no version'}"]
        agreement = peer["agreement"]
        if agreement and agreement.get("reason"):
            told.append(f"the logits are wrong: {agreement['reason']}")
        elif agreement and "margin" in agreement:
            told.append(f"logits {agreement['relative_difference']:.1%} from those in f32 (norm of the difference over the norm)")
            if agreement["verdict"] != "same":
                told.append(
                    f"names token {agreement['token']}, not {agreement['expected']}: in f32 the two are {agreement['margin']:.3f} "
                    f"apart, and a logit moved by {agreement['worst_difference']:.3f} at most"
                )
        if peer["failure"]:
            told.append(f"failed: {peer['failure']}".replace("|", "\\|"))
        notes.append(f"- {'; '.join(told)}.")
    return notes


def _rounds(results, name):
    return results["peers"].get(name, {"rounds": []})["rounds"]


def _spread(values, unit=1.0, digits=None):
    """`3.8 (3.7-4.0)`: the median, and the least and the most where they differ."""
    values = [value / unit for value in values]
    digits = _digits(statistics.median(values)) if digits is None else digits
    least, middle, most = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


def _digits(value):
    return 0 if value >= 100 else 1 if value >= 10 else 2


def _ratio(values, base):
    if not base:
        return "-"
    return f"{statistics.median(values) / statistics.median(base):.2f}"
