#!/usr/bin/env python3
"""Run an export with IREE, a compiler and runtime that share nothing with XLA, and check its logits.

    python iree_logits.py EXPORT CHECKPOINT GOLDEN.safetensors

EXPORT is what `lapidary export --dtype f32 --phase prefill,decode --tokens 1` wrote for one sequence on one
device; CHECKPOINT is the model's directory, whose weights are f32 or f16; GOLDEN has `tokens.I` [n] and the
logits `logits.I` [n, vocab] that another implementation computes from them.

All that is known of a program is its text and the manifest, so this is also how an outsider runs an export: the
role of a parameter says where its value comes from, and the state that a step returns goes into the next one.

The prompt goes through the prefill program one token at a time. Steps of several tokens write the cache with a
`stablehlo.scatter` that IREE 3.13.0 refuses ("expected indices to be equal to batch rank or batch rank + 1"):
docs/export.md has more.

Exit status: 0 if no logit is further from the golden than --tolerance, 1 if one is.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import iree.compiler
import iree.runtime
import numpy as np
from safetensors import numpy as safetensors

DTYPES = {"f32": np.float32, "s32": np.int32}


class Program:
    """A compiled program of an export."""

    def __init__(self, directory: Path, manifest: dict, instance: iree.runtime.Config):
        text = (directory / manifest["file"]).read_text(encoding="utf-8")
        compiled = iree.compiler.compile_str(
            text, input_type="stablehlo", target_backends=["llvm-cpu"], extra_args=["--iree-llvmcpu-target-cpu=host"]
        )
        context = iree.runtime.SystemContext(config=instance)
        context.add_vm_module(iree.runtime.VmModule.copy_buffer(context.instance, compiled))
        name = re.search(r"^module @(\w+)", text, re.MULTILINE).group(1)
        self.main = context.modules[name]["main"]
        self.parameters = manifest["parameters"]
        self.results = manifest["results"]

    def step(self, weights: dict, inputs: dict, state: dict) -> tuple[np.ndarray, dict]:
        """One step: the logits [batch, vocab], and the state after it."""

        def value(parameter: dict):
            match parameter["role"]:
                case {"kind": "weight", "tensor": tensor}:
                    found = weights[tensor]
                case {"kind": "input", "input": name}:
                    found = np.array(inputs[name])
                case {"kind": "state", "layer": layer, "half": half}:
                    # Before the first step a cache is empty, whatever it holds; zeros are as good as anything.
                    found = state.get((layer, half))
                    if found is not None:
                        return found
                    found = np.zeros(parameter["shape"])
                case role:
                    raise ValueError(f"a parameter of unknown role: {role}")
            assert list(found.shape) == parameter["shape"], (parameter, found.shape)
            return found.astype(DTYPES[parameter["dtype"]])

        returned = self.main(*map(value, self.parameters))
        logits, after = None, {}
        for result, array in zip(self.results, returned, strict=True):
            match result["role"]:
                case {"kind": "output", "output": "logits"}:
                    logits = np.asarray(array)
                case {"kind": "state", "layer": layer, "half": half}:
                    after[layer, half] = array
                case role:
                    raise ValueError(f"a result of unknown role: {role}")
        return logits, after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, metavar="EXPORT")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("golden", type=Path, metavar="GOLDEN.safetensors")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference of a logit [%(default)s]")
    parser.add_argument("--prompt", type=int, default=12, help="tokens that are prefilled [%(default)s]")
    arguments = parser.parse_args()

    manifest = json.loads((arguments.export / "manifest.json").read_text(encoding="utf-8"))
    instance = iree.runtime.Config("local-task")
    programs = {program["phase"]: program for program in manifest["programs"]}
    context = programs["decode"]["context"]
    prefill, decode = (Program(arguments.export, programs[phase], instance) for phase in ("prefill", "decode"))

    weights = {}
    for file in sorted(arguments.checkpoint.glob("model*.safetensors")):
        weights |= safetensors.load_file(file)
    golden = safetensors.load_file(arguments.golden)
    sequences = sum(name.startswith("tokens.") for name in golden)
    sequence = max(range(sequences), key=lambda i: len(golden[f"tokens.{i}"]))
    tokens = golden[f"tokens.{sequence}"][:context]
    assert len(tokens) > arguments.prompt, "the golden has nothing to decode"

    state, worst = {}, {"prefill": 0.0, "decode": 0.0}
    for position, token in enumerate(tokens):
        phase, program = ("prefill", prefill) if position < arguments.prompt else ("decode", decode)
        inputs = {"tokens": [[token]], "start": [position], "count": [1]}
        logits, state = program.step(weights, inputs, state)
        difference = np.abs(logits[0] - golden[f"logits.{sequence}"][position]).max()
        # A NaN is no difference that could be compared.
        worst[phase] = max(worst[phase], float(np.nan_to_num(difference, nan=np.inf)))
    figures = ", ".join(f"{phase} {difference:.2e}" for phase, difference in worst.items())
    print(f"{manifest['model']['name']}: {len(tokens)} tokens; max |logit - golden|: {figures}")
    return 0 if max(worst.values()) <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
