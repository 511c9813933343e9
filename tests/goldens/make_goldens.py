#!/usr/bin/env python3
"""Write the golden checkpoints and their reference results, or check the committed ones.

    python make_goldens.py [CASE...]            rewrite (all cases, and the chat goldens, by default)
    python make_goldens.py --check [CASE...]    regenerate elsewhere and compare with what is committed

README.md says what the files hold.
"""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
import safetensors
import tokenizers
import torch
import transformers
from safetensors.numpy import save_file

import chat
import oracle
import reference
from cases import BOS, CASES, NOT_CONTINUED, Case
from checkpoints import random_weights, to_disk_dtype, write_checkpoint, write_json
from compare import differences

HERE = Path(__file__).parent

# The bound that tests hold an f32 run to. A golden is sound only if every mistake exceeds it many times over
# (LEAST_EFFECT), and if rounding alone, as transformers' own f32 run shows it, stays well inside.
TOLERANCE = 1e-4
LEAST_EFFECT = 10 * TOLERANCE
MOST_ROUNDING = TOLERANCE / 5
# transformers in float64 and the numpy forward pass differ only in the order of their sums.
AGREEMENT = 1e-9
# A greedy token counts only if no rounding within TOLERANCE could have chosen another.
LEAST_MARGIN = 1e-2


def make_case(case: Case, directory: Path) -> None:
    """Writes the checkpoint and the goldens of `case`; raises if they would not expose what they are for."""
    write_checkpoint(case, directory)
    if case.with_tokenizer:
        chat.write_tokenizer(directory, case.vocab_size)
    rng = np.random.default_rng([case.seed, 1])
    sequences = [random_tokens(rng, case, length) for length in case.sequence_lengths]
    model = oracle.load_float64(directory)
    with oracle.float64_throughout():
        expected = [oracle.logits(model, tokens) for tokens in sequences]
        greedy = [greedy_golden(model, rng, case, *lengths) for lengths in case.greedy_lengths]

    tensors = {}
    for i, (tokens, logits) in enumerate(zip(sequences, expected, strict=True)):
        tensors[f"tokens.{i}"] = tokens.astype(np.int32)
        tensors[f"logits.{i}"] = logits.astype(np.float32)
        tensors[f"nll.{i}"] = negative_log_likelihood(logits, tokens).astype(np.float32)

    f32_error = max_abs_error(run(directory, torch.float32, sequences), expected)
    if not f32_error < MOST_ROUNDING:
        raise RuntimeError(f"{case.name}: f32 rounding alone reaches {f32_error:.3g}")
    summary = {
        "case": case.name,
        "about": case.about,
        "seed": case.seed,
        "versions": versions(),
        "sequence_lengths": case.sequence_lengths,
        "logits_std": float(np.concatenate(expected).std()),
        "greedy": greedy,
        "effect_of_mistake": measure_mistakes(case, sequences, expected),
        "transformers_f32_max_abs_error": f32_error,
    }
    if case.dtype == "bfloat16":
        theirs = run(directory, torch.bfloat16, sequences)
        tensors |= {f"logits_bf16.{i}": logits.astype(np.float32) for i, logits in enumerate(theirs)}
        summary["transformers_bf16_mean_abs_error"] = mean_abs_error(theirs, expected)
    save_file(tensors, directory / "golden.safetensors")
    write_json(directory / "golden.json", summary)


def random_tokens(rng: np.random.Generator, case: Case, length: int) -> np.ndarray:
    """BOS and then random ids of the whole vocabulary."""
    return np.concatenate([[BOS], rng.integers(0, case.vocab_size, length - 1)]).astype(np.int64)


def greedy_golden(model, rng: np.random.Generator, case: Case, prompt_length: int, new_tokens: int) -> dict:
    """A random prompt whose greedy continuation is beyond the doubt of rounding, varied, and free of special ids."""
    for _ in range(200):
        prompt = random_tokens(rng, case, prompt_length)
        continuation, margin = oracle.greedy(model, prompt, new_tokens)
        varied = len(set(continuation)) > new_tokens // 3
        if varied and margin >= LEAST_MARGIN and not set(continuation) & set(NOT_CONTINUED):
            return {"prompt": prompt.tolist(), "new_tokens": continuation, "least_margin": margin}
    raise RuntimeError(f"{case.name}: no prompt of {prompt_length} tokens has a well-defined continuation")


def negative_log_likelihood(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """`[tokens - 1]`: of every token but the first, given those before it."""
    shifted = logits - logits.max(-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -log_probabilities[np.arange(len(tokens) - 1), tokens[1:]]


def measure_mistakes(case: Case, sequences: list[np.ndarray], expected: list[np.ndarray]) -> dict[str, float]:
    """max |logit difference| that each mistake makes; raises if one hides, or if the numpy forward disagrees."""
    weights = {name: to_disk_dtype(w, case).double().numpy() for name, w in random_weights(case).items()}

    def error(numerics: reference.Numerics) -> float:
        return max_abs_error((reference.forward(weights, case, numerics, s) for s in sequences), expected)

    disagreement = error(reference.correct(case))
    if not disagreement < AGREEMENT:
        raise RuntimeError(f"{case.name}: transformers and the numpy forward differ by {disagreement:.3g}")
    effects = {name: error(numerics) for name, numerics in reference.mistakes(case).items()}
    hidden = {name: effect for name, effect in effects.items() if not effect > LEAST_EFFECT}
    if hidden:
        raise RuntimeError(f"{case.name}: mistakes that these goldens would not show: {hidden}")
    return effects


def run(directory: Path, dtype: torch.dtype, sequences: list[np.ndarray]) -> list[np.ndarray]:
    """Logits of transformers left to itself in `dtype`."""
    model = oracle.load(directory, dtype)
    return [oracle.logits(model, tokens) for tokens in sequences]


def max_abs_error(actual, expected: list[np.ndarray]) -> float:
    return max(float(np.abs(a - e).max()) for a, e in zip(actual, expected, strict=True))


def mean_abs_error(actual, expected: list[np.ndarray]) -> float:
    """The mean over every logit of every sequence."""
    return float(np.concatenate([np.abs(a - e).ravel() for a, e in zip(actual, expected, strict=True)]).mean())


def versions() -> dict[str, str]:
    modules = (torch, transformers, tokenizers, safetensors, np)
    return {module.__name__: module.__version__.split("+")[0] for module in modules}


def make(names: list[str], root: Path) -> None:
    for case in CASES:
        if case.name in names:
            directory = root / case.name
            directory.mkdir(exist_ok=True)
            for stale in itertools.chain(directory.glob("*.safetensors"), directory.glob("*.json")):
                stale.unlink()
            make_case(case, directory)
            for path in directory.iterdir():
                path.chmod(0o644)  # safetensors writes for its owner alone
    if "chat" in names:
        chat.write_goldens(root / "chat")


def main() -> int:
    known = [case.name for case in CASES] + ["chat"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="CASE", help=f"any of {', '.join(known)}; default: all")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    names = arguments.names or known

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not arguments.check:
        make(names, HERE)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        make(names, Path(scratch))
        found = [d for name in names for d in differences(HERE / name, Path(scratch) / name)]
    for difference in found:
        print(difference, file=sys.stderr)
    print(f"{len(names)} goldens checked, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
