"""The parity suite by the command alone: logits and greedy tokens of small checkpoints, against their goldens.

Tolerances are those of tests/parity.rs. In bf16 the bar is transformers' own bf16 error: on the same card where torch is
here, and otherwise as the golden has it from a CPU.
"""

import concurrent.futures
import json
import time

from . import process, safetensors
from .options import CLIENTS, ROOT

TOLERANCE = 1e-4
# Checkpoints of few kilobytes: several at a time do not get into each other's way.
AT_A_TIME = 3


class Parity:
    def __init__(self, options, environment):
        self.options = options
        self.environment = environment
        self.work = options.out / "parity"

    def run(self, seconds):
        """Checks every golden in so many seconds, and yields a result for each as it comes."""
        self.deadline = time.monotonic() + seconds
        self.work.mkdir(parents=True, exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            running = [pool.submit(self.check, case) for case in self.options.scale.goldens]
            for done in concurrent.futures.as_completed(running):
                yield done.result()

    def check(self, case):
        try:
            return {"case": case, **self.compare(case)}
        except (process.Failed, OSError, ValueError, KeyError) as error:
            return {"case": case, "passed": False, "error": str(error)}

    def compare(self, case):
        folder = ROOT / "tests" / "goldens" / case
        golden = safetensors.read(folder / "golden.safetensors")
        sequences = [list(ids) for ids in safetensors.numbered(golden, "tokens")]
        ours = self.logits(case, folder, sequences)
        wanted = safetensors.numbered(golden, "logits")
        if case.endswith("-bf16"):
            return self.judge_bf16(case, folder, sequences, ours, wanted, golden)
        worst = max(largest_difference(a, b) for a, b in zip(ours, wanted))
        greedy = self.greedy(case, folder)
        passed = worst <= TOLERANCE and greedy == "the same"
        return {"passed": passed, "max_abs_error": worst, "tolerance": TOLERANCE, "greedy": greedy}

    def judge_bf16(self, case, folder, sequences, ours, wanted, golden):
        error = mean_difference(ours, wanted)
        theirs, where = mean_difference(safetensors.numbered(golden, "logits_bf16"), wanted), "a CPU"
        answer = {}
        if "torch" in self.options.peers:
            try:
                theirs, where = mean_difference(self.transformers(case, folder, sequences), wanted), "this card"
            except process.Failed as reason:
                answer["transformers"] = str(reason)
        return {
            "passed": error <= theirs,
            "mean_abs_error": error,
            "transformers_mean_abs_error": theirs,
            "transformers_on": where,
            **answer,
        }

    def logits(self, case, folder, sequences):
        ids = self.ids(case, sequences)
        out = self.work / f"{case}.safetensors"
        out.unlink(missing_ok=True)
        self.lapidary(f"{case}-score", ["score", "--model", folder, "--token-ids", ids, "--json", "--logits", out])
        logits = safetensors.numbered(safetensors.read(out), "logits")
        if len(logits) != len(sequences):
            raise process.Failed(f"logits of {len(logits)} sequences, not {len(sequences)}")
        return logits

    def greedy(self, case, folder):
        """Whether prefill and decode choose the golden's tokens: `the same`, or where they part."""
        for number, wanted in enumerate(json.loads((folder / "golden.json").read_text())["greedy"]):
            ids = self.ids(f"{case}-greedy{number}", wanted["prompt"])
            generate = ["generate", "--model", folder, "--token-ids", ids, "--max-new-tokens", len(wanted["new_tokens"])]
            said = self.lapidary(f"{case}-greedy{number}", [*generate, "--ignore-eos", "--json"])
            tokens = json.loads(said)["token_ids"]
            if tokens != wanted["new_tokens"]:
                at = next((i for i, pair in enumerate(zip(tokens, wanted["new_tokens"])) if pair[0] != pair[1]), len(tokens))
                return f"other tokens from token {at} of continuation {number}"
        return "the same"

    def transformers(self, case, folder, sequences):
        out = self.work / f"{case}.transformers.safetensors"
        out.unlink(missing_ok=True)
        device = self.options.device
        command = [self.options.python, CLIENTS / "torch_logits.py", folder, self.ids(case, sequences), out, device]
        process.run(command, self.options.out / "logs" / f"{case}-transformers.log", self.left(), self.environment)
        return safetensors.numbered(safetensors.read(out), "logits")

    def ids(self, name, ids):
        path = self.work / f"{name}.ids.json"
        path.write_text(json.dumps(ids))
        return path

    def lapidary(self, name, arguments):
        command = [self.options.lapidary, *arguments, "--device", self.options.device, "--quiet"]
        said, in_time = process.run(command, self.options.out / "logs" / f"{name}.log", self.left(), self.environment)
        if not in_time:
            raise process.Failed("time was up")
        return said

    def left(self):
        return self.deadline - time.monotonic()


def differences(ours, wanted):
    if len(ours) != len(wanted):
        raise process.Failed(f"{len(ours)} logits, not {len(wanted)}")
    return (abs(a - b) for a, b in zip(ours, wanted))


def largest_difference(ours, wanted):
    # A NaN would get lost in a maximum.
    return max((d if d == d else float("inf") for d in differences(ours, wanted)), default=0.0)


def mean_difference(ours, wanted):
    total, count = 0.0, 0
    for a, b in zip(ours, wanted):
        total += sum(differences(a, b))
        count += len(b)
    return total / max(count, 1)
