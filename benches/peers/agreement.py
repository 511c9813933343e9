"""Whether a peer computes what Lapidary computes: logits after the 16-token prompt.

Rounding alone moves logits, and on random weights the most likely tokens are close to each other. So the judge is the
same model in f32: a peer that names another token is right nevertheless if the distance of the two tokens there is within
what rounding moved.
"""

import array
import json
import math
import pathlib
import sys


def read_last_logits(path):
    """The last row of `logits` `[tokens, vocab]` of a safetensors file."""
    with pathlib.Path(path).open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(size))["logits"]
        vocab = entry["shape"][-1]
        file.seek(8 + size + entry["data_offsets"][1] - 4 * vocab)
        return _floats(file.read(4 * vocab))


def read_logits(path):
    """Logits as clients write them: f32, little-endian."""
    return _floats(pathlib.Path(path).read_bytes())


def compare(logits, reference):
    """How `logits` differ from those in f32."""
    if len(logits) != len(reference):
        return {"verdict": "wrong", "reason": f"{len(logits)} logits, not {len(reference)}"}
    token, expected = _argmax(logits), _argmax(reference)
    if not all(math.isfinite(logit) for logit in logits):
        return {"verdict": "wrong", "reason": "logits are not finite numbers", "token": token}
    differences = [a - b for a, b in zip(logits, reference)]
    scale = math.sqrt(sum(value * value for value in reference))
    worst = max(abs(value) for value in differences)
    margin = reference[expected] - reference[token]
    if token == expected:
        verdict = "same"
    elif margin <= 2 * worst and _correlation(logits, reference) > 0.9:
        # Two logits that each moved by as much as the worst did may have changed places.
        verdict = "rounding"
    else:
        verdict = "wrong"
    return {
        "verdict": verdict,
        "token": token,
        "expected": expected,
        "margin": margin,
        "worst_difference": worst,
        "relative_difference": math.sqrt(sum(value * value for value in differences)) / scale if scale else None,
    }


def _floats(data):
    values = array.array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _argmax(values):
    return max(range(len(values)), key=values.__getitem__)


def _correlation(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    norms = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return dot / norms if norms else 0.0
