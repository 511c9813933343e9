"""Has transformers load a model directory that `lapidary quantize` wrote, and compares the logits.

    check.py DIRECTORY

The reference is a dense model of the same config, whose weights are decoded here, from the numbers in the files.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

TOKENS = torch.tensor([[2, 106, 300, 17, 999, 45, 600, 1200, 107, 3, 512, 77]])


def decoded(directory):
    """Dense weights in float32: codes times scales. (A model that is loaded in bfloat16 rounds them to that.)"""
    stored = {}
    for path in sorted(directory.glob("*.safetensors")):
        stored.update(load_file(path))
    weights = {}
    for name, tensor in stored.items():
        module, _, kind = name.rpartition(".")
        if kind == "weight_packed":
            words = tensor.unsqueeze(-1) >> torch.arange(0, 32, 4, dtype=torch.int32)
            codes = ((words & 15) - 8).reshape(tensor.shape[0], -1)
            assert list(codes.shape) == stored[f"{module}.weight_shape"].tolist()
        elif kind == "weight" and tensor.dtype == torch.int8:
            codes = tensor
        elif kind == "weight":
            weights[name] = tensor.float()
            continue
        else:
            continue
        scales = stored[f"{module}.weight_scale"]
        spread = scales.repeat_interleave(codes.shape[1] // scales.shape[1], dim=1)
        weights[f"{module}.weight"] = codes.float() * spread.float()
    return weights


def logits(model):
    with torch.no_grad():
        return model.eval()(TOKENS).logits.float()


def main(directory):
    config = AutoConfig.from_pretrained(directory)
    quantization = json.loads((directory / "config.json").read_text())["quantization_config"]
    del config.quantization_config
    reference = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    missing, unexpected = reference.load_state_dict(decoded(directory), strict=False)
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    reference.tie_weights()
    expected = logits(reference)

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    difference = (logits(model) - expected).abs().max().item()
    assert difference < 1e-3 * expected.abs().max().item(), f"logits differ by {difference}"
    print(f"{directory.name}: {quantization['format']}, logits differ by {difference:.1e} of {expected.abs().max():.1f}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
